"""Progress on a terminal and off it."""

import io

import pytest
import rich.console

from gpt3_keras.training import progress as progress_module
from gpt3_keras.training.progress import Progress
from gpt3_keras.training.progress import training_detail


def test_off_a_terminal_lines_are_written_now_and_then(capsys, monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    with Progress("training", total=9) as progress:
        for step in range(9):
            progress.update(step + 1, "loss 1.0")
    written = capsys.readouterr()
    assert written.out == ""
    lines = written.err.splitlines()
    assert lines[-1] == "training 9/9 steps  loss 1.0"
    assert 2 <= len(lines) < 9


def test_track_counts(capsys):
    assert list(Progress("reading", unit="batches").track("abc")) == [*"abc"]
    assert capsys.readouterr().err == "reading 3 batches\n"


def test_an_error_is_not_followed_by_progress(capsys):
    def items():
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Progress("reading").track(items()))
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_bar_moves(monkeypatch):
    screen = io.StringIO()
    console = rich.console.Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(rich.console, "Console", lambda **_: console)
    with Progress("training", total=4) as progress:
        progress.update(4, "loss 1.0")
    assert "training" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert "loss 1.0" in screen.getvalue()


def test_the_detail_names_every_loss():
    losses = dict.fromkeys(
        (
            "loss",
            "language_model_loss",
            "generator_loss",
            "pointer_loss",
            "gate_loss",
        ),
        1.5,
    )
    record = {
        "phase": "encoder",
        "learning_rate": 1e-4,
        "tokens_per_sec": 1234.5,
        **losses,
    }
    assert training_detail(record) == (
        "encoder: loss 1.500  lm 1.500  generator 1.500  pointer 1.500  "
        "gate 1.500  lr 1.0e-04  1,234 tokens/s"
    )
