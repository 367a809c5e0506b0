"""BUILD says what the imports say, and bazel can read it."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests import build_file
from tests import rooms
from tests.build_file import Target

BAZEL_FILES = ("BUILD", "WORKSPACE", "MODULE.bazel")
NOBODY = "http://127.0.0.1:9"


def test_targets_are_the_rooms_and_the_tests():
    text = build_file.BUILD.read_text("utf-8")
    lines = build_file.differences(
        build_file.wanted(), build_file.written(text)
    )
    assert not lines, (
        "BUILD and the imports differ. Edit BUILD, or let `python -m "
        "tests.build_file` write it anew:\n" + "\n".join(lines)
    )


def test_a_difference_is_named():
    wanted = {
        "layers": Target("py_library", {"a.py", "b.py"}, {"functional"}),
        "losses": Target("py_library", {"losses.py"}),
        "tests/losses_test": Target("py_test", {"losses_test.py"}),
    }
    text = """
py_library(name = "layers", srcs = ["a.py", "c.py"], deps = [":backend"])
py_library(name = "models", srcs = ["models.py"])
py_library(name = "tests/losses_test", srcs = ["losses_test.py"])
"""
    assert build_file.differences(wanted, build_file.written(text)) == [
        '"layers": add "b.py" in srcs',
        '"layers": remove "c.py" in srcs',
        '"layers": add ":functional" in deps',
        '"layers": remove ":backend" in deps',
        'add py_library(name = "losses")',
        'remove py_library(name = "models")',
        '"tests/losses_test": make py_library a py_test',
    ]


def test_what_is_rendered_reads_back():
    wanted = build_file.wanted()
    read_back = build_file.written(build_file.render(wanted))
    assert build_file.differences(wanted, read_back) == []


def test_deps_are_the_imports():
    deps = build_file.wanted()["tests/build_test"].deps
    assert deps == {"tests/build_file", "tests/rooms", build_file.HARNESS}


def test_deps_are_what_python_runs_by_name():
    deps = build_file.wanted()["tests/training/checkpoint_breaks_test"].deps
    assert "tests/training/killed_writer" in deps


@pytest.mark.parametrize(
    ("source", "slow"),
    [
        ("pytestmark = pytest.mark.slow", True),
        ("pytestmark = [pytest.mark.slow, pytest.mark.usefixtures()]", True),
        ("@pytest.mark.slow\ndef test_a():\n    pass", True),
        ("@pytest.mark.slow\ndef test_a(): ...\ndef test_b(): ...", False),
        ("a = [pytest.param(1, marks=pytest.mark.slow)]", False),
        ("def helper():\n    pass", False),
    ],
)
def test_a_file_is_slow_when_all_its_tests_are(source, slow):
    assert build_file.is_slow("import pytest\n" + source) is slow


def test_a_slow_file_is_tagged():
    tags = {name: x.tags for name, x in build_file.wanted().items()}
    assert tags["tests/training/resume_test"] == {"slow"}
    assert tags["tests/build_test"] == set()
    text = 'py_test(name = "a_test", srcs = ["a_test.py"])'
    wanted = {"a_test": Target("py_test", {"a_test.py"}, tags={"slow"})}
    assert build_file.differences(wanted, build_file.written(text)) == [
        '"a_test": add "slow" in tags'
    ]


def test_buildifier_has_nothing_to_change():
    if shutil.which("buildifier") is None:
        pytest.skip("buildifier is not installed: BUILD's form is unchecked")
    files = [
        *(rooms.ROOT / name for name in BAZEL_FILES),
        *(rooms.ROOT / "tests").rglob("*.bzl"),
    ]
    check = subprocess.run(
        ["buildifier", "--mode=check", "--lint=warn", *files],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.fixture(scope="module")
def bazel(tmp_path_factory):
    """A function that runs bazel without a network, from nothing."""
    if shutil.which("bazel") is None:
        pytest.skip("bazel is not installed: BUILD is not read by it")
    root = tmp_path_factory.mktemp("bazel")
    # Nobody listens there: a download fails on any machine.
    no_network = dict.fromkeys(("http_proxy", "https_proxy"), NOBODY)
    python = str(pathlib.Path(sys.executable).parent)
    path = os.pathsep.join([python, os.environ["PATH"]])

    def run(*arguments):
        command = ["bazel", f"--output_user_root={root}", "--batch"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=rooms.ROOT,
            env={**os.environ, **no_network, "PATH": path},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_bazel_parses_build(bazel):
    labels = set(bazel("query", "//...").split())
    targets = build_file.written(build_file.BUILD.read_text("utf-8"))
    assert labels == {f"//:{name}" for name in targets}


@pytest.mark.slow
def test_bazel_builds_all_and_runs_a_test(bazel):
    bazel("build", "//...")
    assert "PASSED" in bazel("test", "//:tests/schedules_test")
