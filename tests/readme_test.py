"""Every block of the README works as it stands."""

import pathlib
import re
import shlex

import pytest

from gpt3_keras import cli_arguments

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"


def blocks(language):
    pattern = rf"^```{language}\n(.*?)^```"
    text = README.read_text(encoding="utf-8")
    return re.findall(pattern, text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_python_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), names)
    assert (tmp_path / "export" / "1" / "saved_model.pb").exists()


def test_shell_blocks_name_verbs_and_options_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "configs").symlink_to(README.parent / "configs")
    commands = [
        shlex.split(line)
        for block in blocks("bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    verbs = [words[1] for words in commands]
    assert verbs == ["prepare", "train", "evaluate", "generate", "export"]
    for words in commands:
        assert words[0] == "gpt3-keras"
        cli_arguments.parser().parse_args(words[1:])


def test_figures_have_been_filled_in():
    assert "MEASURED_TABLE" not in README.read_text(encoding="utf-8")
