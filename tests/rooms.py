"""Reads the package's rooms and imports from its source, running none of it.

A room is a folder of gpt3_keras, or a module at its top; `config_sections.py`
belongs to the room `config`. The package's own `__init__.py` is the room
`gpt3_keras`.
"""

import ast
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "gpt3_keras"

FLOORS = {
    "config": 0,
    "functional": 0,
    "backend": 1,
    "layers": 2,
    "losses": 2,
    "metrics": 2,
    "samplers": 2,
    "schedules": 2,
    "models": 3,
    "training": 4,
    "evaluation": 4,
    "serving": 4,
    "cli": 5,
    PACKAGE: 6,
}
# The side wing: it stands on floor 0, and floors 4 and up may use it.
SIDE_WING = "data"


def package_files():
    """Every module of the package, as a path below the root."""
    files = (ROOT / PACKAGE).rglob("*.py")
    return sorted(file.relative_to(ROOT) for file in files)


def room_of(path):
    """The room of a module, given its path below the root.

    >>> room_of(pathlib.PurePath("gpt3_keras/layers/pointer.py"))
    'layers'
    >>> room_of(pathlib.PurePath("gpt3_keras/config_sections.py"))
    'config'
    """
    parts = path.with_suffix("").parts
    return room_of_module(".".join(parts).removesuffix(".__init__"))


def room_of_module(module):
    """The room of a module's dotted name; None outside of the package."""
    package, _, inside = module.partition(".")
    if package != PACKAGE:
        return None
    name = inside.partition(".")[0] or PACKAGE
    known = (*FLOORS, SIDE_WING)
    if name in known or (ROOT / PACKAGE / name).is_dir():
        return name
    return next((room for room in known if name.startswith(f"{room}_")), name)


def imports(source, path):
    """Yields (line number, dotted name) for each import in `source`.

    Imports inside functions count, and so does
    `importlib.import_module("a.literal.name")`. A name taken from
    gpt3_keras is a module's if there is such a module; else it is one of
    the public names, and the package itself is what is imported.
    """
    for node in ast.walk(ast.parse(source, filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield node.lineno, name if _is_module(name) else base
        elif isinstance(node, ast.Call) and node.args:
            function = ast.unparse(node.func).rpartition(".")[2]
            name = getattr(node.args[0], "value", None)
            if function == "import_module" and isinstance(name, str):
                yield node.lineno, name


def _absolute(node, path):
    if not node.level:
        return node.module
    base = path.parts[: -node.level]
    return ".".join((*base, *filter(None, [node.module])))


def _is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()
