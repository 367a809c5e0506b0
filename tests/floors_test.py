"""The package's shape: imports go down, engines stay in their rooms."""

import ast
import pathlib

import pytest

from tests import rooms

ENGINES = ("tensorflow", "tensorflow_text", "tf_keras", "jax", "torch")
# Who may name an engine; all others speak keras.ops.
ENGINE_ROOMS = ("backend", "data", "training", "evaluation", "serving")
ENGINE_MODULES = ("gpt3_keras/models/tokenizer*.py",)

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 60
MAX_ARGUMENTS = 13  # of a constructor, beside Keras' own; the backbone has 12
KERAS_ARGUMENTS = ("dtype", "name", "trainable")


def upward_imports(source, path):
    """Complaints about imports in `source` that do not go down."""
    room = rooms.room_of(path)
    if room not in rooms.FLOORS and room != rooms.SIDE_WING:
        return [f"{path}: {room!r} has no floor: see FLOORS in tests/rooms.py"]
    complaints = []
    for line, name in rooms.imports(source, path):
        other = rooms.room_of_module(name)
        if other not in (None, room) and not _is_below(other, room):
            complaints.append(
                f"{path}:{line}: {room} may not import {name}: imports go "
                "only to lower floors"
            )
    return complaints


def _is_below(other, room):
    if room == rooms.SIDE_WING:
        return rooms.FLOORS.get(other) == 0
    if other == rooms.SIDE_WING:
        return rooms.FLOORS[room] >= rooms.FLOORS["training"]
    return rooms.FLOORS.get(other, float("inf")) < rooms.FLOORS[room]


def misplaced_engines(source, path):
    """Complaints about engines that `source` names but may not."""
    if rooms.room_of(path) in ENGINE_ROOMS:
        return []
    if any(path.match(pattern) for pattern in ENGINE_MODULES):
        return []
    return [
        f"{path}:{line}: only {', '.join(ENGINE_ROOMS)} and the tokenizer "
        f"may import {name}"
        for line, name in rooms.imports(source, path)
        if name.partition(".")[0] in ENGINES
    ]


def oversized(source, path):
    """Complaints about what is too long to be read in one go."""
    complaints = []
    lines = len(source.splitlines())
    if lines >= MAX_MODULE_LINES:
        complaints.append(f"{path}: {lines} lines; split it by meaning")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        where = f"{path}:{node.lineno}: {node.name}"
        if _code_lines(node) >= MAX_FUNCTION_LINES:
            complaints.append(f"{where} is too long; split it by meaning")
        arguments = [*node.args.args[1:], *node.args.kwonlyargs]
        arguments = [x for x in arguments if x.arg not in KERAS_ARGUMENTS]
        if node.name == "__init__" and len(arguments) >= MAX_ARGUMENTS:
            complaints.append(f"{where} takes {len(arguments)} arguments")
    return complaints


def _code_lines(function):
    """The lines of a function without those of its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def asserts(source, path):
    """Complaints about `assert`, which `python -O` removes."""
    return [
        f"{path}:{node.lineno}: raise an error in place of assert"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
    ]


def test_every_room_is_a_package():
    folders = {path.parent for path in rooms.package_files()}
    bare = {x for x in folders if not (rooms.ROOT / x / "__init__.py").exists()}
    assert not bare, f"without an __init__.py: {sorted(map(str, bare))}"


RULES = [upward_imports, misplaced_engines, oversized, asserts]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule):
    complaints = [
        complaint
        for path in rooms.package_files()
        for complaint in rule((rooms.ROOT / path).read_text("utf-8"), path)
    ]
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        (
            "functional.py",
            "import keras\nfrom gpt3_keras import backend",
            "functional.py:2: functional may not import gpt3_keras.backend",
        ),
        (
            "layers/pointer.py",
            "def call():\n    from gpt3_keras.models import backbone",
            "pointer.py:2: layers may not import gpt3_keras.models",
        ),
        (
            "layers/pointer.py",
            "from ..cli import main",
            "layers may not import gpt3_keras.cli",
        ),
        (
            "losses.py",
            "import gpt3_keras.metrics",
            "losses may not import gpt3_keras.metrics",
        ),
        (
            "models/backbone.py",
            "import gpt3_keras as gk",
            "models may not import gpt3_keras",
        ),
        (
            "models/backbone.py",
            "import importlib\nimportlib.import_module('gpt3_keras.cli')",
            "backbone.py:2: models may not import gpt3_keras.cli",
        ),
        (
            "models/preprocessor.py",
            "from gpt3_keras.data import batch",
            "models may not import gpt3_keras.data",
        ),
        (
            "data/pipeline.py",
            "from gpt3_keras.models.tokenizer import GPT3Tokenizer",
            "data may not import gpt3_keras.models",
        ),
        (
            "training/callbacks.py",
            "from gpt3_keras.serving import saved_model",
            "training may not import gpt3_keras.serving",
        ),
        ("helpers.py", "", "'helpers' has no floor"),
    ],
)
def test_an_upward_import_is_found(path, source, complaint):
    (found,) = upward_imports(source, pathlib.PurePath("gpt3_keras", path))
    assert complaint in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("config.py", "from gpt3_keras.config_sections import Section"),
        ("layers/encoder.py", "from gpt3_keras.layers import attention"),
        ("models/backbone.py", "from gpt3_keras import backend, functional"),
        ("data/pipeline.py", "from gpt3_keras import config"),
        ("training/phases.py", "from gpt3_keras.data.pipeline import x"),
        ("cli.py", "from gpt3_keras.serving.saved_model import x"),
    ],
)
def test_a_downward_import_passes(path, source):
    path = pathlib.PurePath("gpt3_keras", path)
    assert upward_imports(source, path) == []


@pytest.mark.parametrize(
    "source",
    ["import tensorflow as tf", "from jax import lax", "import torch.nn"],
)
def test_an_engine_out_of_its_room_is_found(source):
    path = pathlib.PurePath("gpt3_keras/layers/pointer.py")
    (found,) = misplaced_engines(source, path)
    assert "may import" in found
    for allowed in ("backend/jax.py", "models/tokenizer_graph.py"):
        path = pathlib.PurePath("gpt3_keras", allowed)
        assert misplaced_engines(source, path) == []


def test_what_is_too_long_is_found():
    path = pathlib.PurePath("gpt3_keras/losses.py")
    function = "def mean():\n" + '    "Doc."\n' + "    0\n" * 58
    assert oversized(function, path) == []
    (found,) = oversized(function + "    0\n", path)
    assert found == f"{path}:1: mean is too long; split it by meaning"
    assert oversized("0\n" * 299, path) == []
    (found,) = oversized("0\n" * 300, path)
    assert found == f"{path}: 300 lines; split it by meaning"
    arguments = ", ".join(f"a{i}" for i in range(13))
    (found,) = oversized(f"def __init__(self, {arguments}, dtype): 0", path)
    assert found == f"{path}:1: __init__ takes 13 arguments"


def test_an_assert_is_found():
    path = pathlib.PurePath("gpt3_keras/losses.py")
    (found,) = asserts("def f(x):\n    assert x", path)
    assert found == f"{path}:2: raise an error in place of assert"
