"""YAML, read strictly: plain data, and no key twice."""

import re

import yaml


class _Loader(yaml.SafeLoader):
    """YAML's plain data only; no key stands twice.

    As in YAML 1.2, `1e-4` is a number and `off` a text: of the words, only
    `true` and `false` are truth values.
    """

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} stands twice",
                    problem_mark=node.start_mark,
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def parse(text, source):
    """The data in a YAML text.

    Args:
        text: str.
        source: str, what it is, for errors.

    Raises:
        ValueError: with the line, if it is malformed.
    """
    try:
        return yaml.load(text, _Loader)  # A SafeLoader.
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "special characters"
        raise ValueError(
            f"Invalid YAML in {source}{line}: {problem}."
        ) from None
