"""BUILD, from the imports: `python -m tests.build_file` writes it anew.

One py_library per room and per helper of the tests, one py_test per test
file. A target's deps are what its files import, so BUILD restates the floors.
"""

import ast
import dataclasses
import re

from tests import rooms

BUILD = rooms.ROOT / "BUILD"
HARNESS = "tests/conftest"
MAIN = "tests/bazel_main.py"

HEADER = '''\
"""One library per room, one test per file; deps restate the floors.

tests/build_test.py compares this file with the imports, and `python -m
tests.build_file` writes it anew. Packages from outside are no targets: they
come from the environment that requirements.lock makes.
"""

load("@rules_python//python:defs.bzl", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])
'''

# What a target reads beside its own files.
DATA = {
    "config": ("configs/*.yaml",),
    HARNESS: ("pyproject.toml",),
    "tests/rooms": ("gpt3_keras/**/*.py", "tests/**/*.py"),
    "tests/build_file": ("BUILD",),
    "tests/golden/golden_test": ("tests/golden/*.txt",),
    "tests/tpu/launch_test": (".ci/run", "configs/base.yaml", "tpu/*.sh"),
}
# Tests that import every module they find: the highest floor brings all.
FINDS_ALL = ("tests/conformance/catalogue_test",)


@dataclasses.dataclass
class Target:
    """One rule: its kind, its files below the root, its targets, its tags."""

    kind: str
    files: set = dataclasses.field(default_factory=set)
    deps: set = dataclasses.field(default_factory=set)
    tags: set = dataclasses.field(default_factory=set)


def wanted():
    """The targets that the files and their imports ask for, by name."""
    targets = {}
    for path in rooms.package_files():
        _add(targets, rooms.room_of(path), path)
    for file in sorted((rooms.ROOT / "tests").rglob("*.py")):
        path = file.relative_to(rooms.ROOT)
        name = path.with_suffix("").as_posix()
        if path.as_posix() != MAIN:
            _add(targets, HARNESS if path.stem == "conftest" else name, path)
    return targets


def _add(targets, name, path):
    is_test = name.endswith("_test")
    kind = "py_test" if is_test else "py_library"
    target = targets.setdefault(name, Target(kind))
    target.files |= {path.as_posix(), MAIN} if is_test else {path.as_posix()}
    source = (rooms.ROOT / path).read_text("utf-8")
    modules = {module for _, module in rooms.imports(source, path)}
    target.deps |= {_home(module) for module in modules | _named(source)}
    if is_test:
        target.deps.add(HARNESS)
        target.tags |= {"slow"} if is_slow(source) else set()
    if name in FINDS_ALL:
        target.deps.add("cli")
    target.deps -= {None, name}


def is_slow(source):
    """Whether every test of a file bears pytest's marker `slow`."""
    tree, marker = ast.parse(source), "pytest.mark.slow"
    for node in tree.body:
        is_mark = ast.unparse(node).startswith("pytestmark = ")
        if is_mark and marker in ast.unparse(node):
            return True
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return bool(tests) and all(
        marker in map(ast.unparse, test.decorator_list) for test in tests
    )


def _named(source):
    """The modules that strings name: `python -m` runs them in tests."""
    values = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {
        value
        for value in values
        if re.fullmatch(rf"(tests|{rooms.PACKAGE})(\.\w+)+", value)
        and rooms.ROOT.joinpath(*value.split(".")).with_suffix(".py").exists()
    }


def _home(module):
    """The target that holds `module`; None for what comes from outside."""
    if module.startswith("tests."):
        return module.replace(".", "/")
    return rooms.room_of_module(module)


def written(text):
    """The targets of a BUILD file's text, by name."""
    targets = {}
    for node in ast.parse(text).body:
        call = getattr(node, "value", None)
        kind = ast.unparse(call.func) if isinstance(call, ast.Call) else None
        if kind in ("py_library", "py_test"):
            fields = {item.arg: item.value for item in call.keywords}
            deps, tags = (
                ast.literal_eval(fields.get(field, ast.List([])))
                for field in ("deps", "tags")
            )
            targets[ast.literal_eval(fields["name"])] = Target(
                kind,
                _files(fields["srcs"]),
                {dep.removeprefix(":") for dep in deps},
                set(tags),
            )
    return targets


def _files(node):
    """The files that a list names, or a glob finds."""
    if isinstance(node, ast.List):
        return set(ast.literal_eval(node))
    return {
        file.relative_to(rooms.ROOT).as_posix()
        for pattern in ast.literal_eval(node.args[0])
        for file in rooms.ROOT.glob(pattern)
    }


def differences(wanted, written):
    """What to add to BUILD and what to remove, a line each."""
    lines = []
    for name in sorted(wanted.keys() | written.keys()):
        new, old = wanted.get(name), written.get(name)
        if old is None:
            lines.append(f'add {new.kind}(name = "{name}")')
            continue
        if new is None:
            lines.append(f'remove {old.kind}(name = "{name}")')
            continue
        if new.kind != old.kind:
            lines.append(f'"{name}": make {old.kind} a {new.kind}')
        lines += [f'"{name}": {line}' for line in _changes(new, old)]
    return lines


def _changes(new, old):
    for field, mark in (("files", ""), ("deps", ":"), ("tags", "")):
        fresh, stale = getattr(new, field), getattr(old, field)
        where = {"files": "srcs"}.get(field, field)
        for verb, names in (("add", fresh - stale), ("remove", stale - fresh)):
            for item in sorted(names):
                yield f'{verb} "{mark}{item}" in {where}'


def render(targets):
    """BUILD's text: the rooms by floor, the tests' helpers, the tests."""
    order = [*rooms.FLOORS]
    order.insert(order.index("training"), rooms.SIDE_WING)

    def place(name):
        room = order.index(name) if name in order else len(order)
        return targets[name].kind, room, name

    rules = [_rule(name, targets[name]) for name in sorted(targets, key=place)]
    return "\n".join([HEADER, *rules])


def _rule(name, target):
    files = target.files
    if (rooms.ROOT / rooms.PACKAGE / name).is_dir():
        files = [f"{rooms.PACKAGE}/{name}/**/*.py"]
    is_test = target.kind == "py_test"
    # In buildifier's order.
    fields = {
        "name": f'"{name}"',
        "srcs": _files_or_glob(files),
        "args": is_test and _list([f"{name}.py"]),
        "data": _files_or_glob(DATA.get(name, ())),
        "main": is_test and f'"{MAIN}"',
        "tags": _list(target.tags),
        "deps": _list(f":{dep}" for dep in target.deps),
    }
    lines = [
        f"    {key} = {value},\n" for key, value in fields.items() if value
    ]
    return f"{target.kind}(\n{''.join(lines)})\n"


def _files_or_glob(names):
    patterns = {name for name in names if "*" in name}
    found = patterns and f"glob({_list(patterns)})"
    return " + ".join(filter(None, [_list({*names} - patterns), found]))


def _list(names):
    names = [f'"{name}"' for name in sorted(names)]
    if not names:
        return None
    if len(names) == 1:
        return f"[{names[0]}]"
    return "[\n" + "".join(f"        {name},\n" for name in names) + "    ]"


if __name__ == "__main__":
    BUILD.write_text(render(wanted()), encoding="utf-8")
