"""Progress on a terminal and off it."""

import io

import pytest
import rich.console

from gpt3_keras.training import progress as progress_module
from gpt3_keras.training.progress import Progress
from gpt3_keras.training.progress import duration
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
    assert lines == [
        # 12 s from the start to the third step, 4 s each.
        "training 3/9 steps  24 s left  loss 1.0",
        "training 6/9 steps  12 s left  loss 1.0",
        "training 9/9 steps  loss 1.0",
        "training 9/9 steps  loss 1.0",
    ]


def test_what_was_done_before_does_not_count_for_the_speed(capsys, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    with Progress("training", total=103, first=100) as progress:
        progress.update(100)
        progress.update(101)
    assert capsys.readouterr().err.splitlines() == [
        "training 100/103 steps",
        # 40 s from the start: the first line was about no step.
        "training 101/103 steps  1 min left",
        "training 101/103 steps",
    ]


@pytest.mark.parametrize("first", [0, 5])
def test_nothing_done_writes_nothing(capsys, first):
    with Progress("training", total=9, first=first):
        pass
    assert capsys.readouterr().err == ""


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
    with Progress("training", total=4, first=1) as progress:
        assert progress.live.tasks[0].completed == 1
        progress.update(4, "loss 1.0")
    assert "training" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert "loss 1.0" in screen.getvalue()


def window(**values):
    return {
        "phase": "encoder",
        "step": 10,
        "learning_rate": 1e-4,
        "tokens_per_sec": 12345.6,
        "loss": 1.5,
        "gradient_norm": 3.0,
        **values,
    }


def test_the_detail_names_what_there_is():
    assert training_detail(window()) == (
        "encoder: loss 1.500  lr 1.0e-04  12,346 tokens/s"
    )
    losses = {
        "language_model_loss": 4.567,
        "generator_loss": 5.0,
        "pointer_loss": 0.25,
        "gate_loss": 0.375,
    }
    detail = training_detail(window(**losses, flops_utilisation=0.314))
    assert detail == (
        "encoder: loss 1.500  lm 4.57  generator 5.00  pointer 0.25  "
        "gate 0.38  lr 1.0e-04  12,346 tokens/s  31% of matmul speed"
    )
    assert len(detail) <= 120
    assert "constraints 0.00 " in training_detail(window(constraint_loss=-1e-9))


@pytest.mark.parametrize(
    ("secs", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (98 * 60, "98 min"),
        (99 * 60, "1.6 h"),
        (47 * 3600, "47.0 h"),
        (50 * 3600, "2.1 days"),
    ],
)
def test_durations(secs, words):
    assert duration(secs) == words
