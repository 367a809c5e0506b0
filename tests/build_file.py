"""BUILD, from the imports: `python -m tests.build_file` writes it anew.

One py_library per room and per helper of the tests, one py_test per test
file. A target's deps are what its files import, so BUILD restates the floors.
"""

import ast
import dataclasses

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

package(default_visibility = ["//visibility:public"])
'''

# What a target reads beside its own files.
DATA = {
    "config": 'glob(["configs/*.yaml"])',
    HARNESS: '["pyproject.toml"]',
    "tests/rooms": 'glob(["gpt3_keras/**/*.py", "tests/**/*.py"])',
    "tests/build_file": '["BUILD"]',
}


@dataclasses.dataclass
class Target:
    """One rule: its kind, its files below the root, its targets."""

    kind: str
    files: set = dataclasses.field(default_factory=set)
    deps: set = dataclasses.field(default_factory=set)


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
    target.deps |= {_home(module) for _, module in rooms.imports(source, path)}
    if is_test:
        target.deps.add(HARNESS)
    target.deps -= {None, name}


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
            deps = ast.literal_eval(fields.get("deps", ast.List([])))
            targets[ast.literal_eval(fields["name"])] = Target(
                kind,
                _files(fields["srcs"]),
                {dep.removeprefix(":") for dep in deps},
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
    for field, mark in (("files", ""), ("deps", ":")):
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
    files = _list(target.files)
    if (rooms.ROOT / rooms.PACKAGE / name).is_dir():
        files = f'glob(["{rooms.PACKAGE}/{name}/**/*.py"])'
    fields = {"name": f'"{name}"', "srcs": files, "data": DATA.get(name)}
    if target.kind == "py_test":
        fields |= {"args": _list([f"{name}.py"]), "main": f'"{MAIN}"'}
    if target.deps:
        fields["deps"] = _list(f":{dep}" for dep in target.deps)
    lines = [
        f"    {key} = {value},\n" for key, value in fields.items() if value
    ]
    return f"{target.kind}(\n{''.join(lines)})\n"


def _list(names):
    names = [f'"{name}"' for name in sorted(names)]
    if len(names) == 1:
        return f"[{names[0]}]"
    return "[\n" + "".join(f"        {name},\n" for name in names) + "    ]"


if __name__ == "__main__":
    BUILD.write_text(render(wanted()), encoding="utf-8")
