"""BUILD says what the imports say, and bazel can read it."""

import shutil
import subprocess

import pytest

from tests import build_file
from tests.build_file import Target


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
    assert deps == {"tests/build_file", build_file.HARNESS}


def test_bazel_parses_build(tmp_path):
    if shutil.which("bazel") is None:
        pytest.skip("bazel is not installed: BUILD is not parsed by it")
    command = ["bazel", f"--output_user_root={tmp_path}", "--batch"]
    query = subprocess.run(
        [*command, "query", "//..."],
        cwd=build_file.rooms.ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert query.returncode == 0, query.stderr
    labels = set(query.stdout.split())
    targets = build_file.written(build_file.BUILD.read_text("utf-8"))
    assert labels == {f"//:{name}" for name in targets}
