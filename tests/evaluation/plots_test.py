"""Pictures are drawn for any run and any passage."""

import io
import math

import numpy as np
import pytest
from matplotlib import image

from gpt3_keras.evaluation import plots
from gpt3_keras.schedules import CosineDecayWithNoise

LOSSES = ("language_model", "generator", "pointer", "gate")


def record(phase, step, prefix=""):
    losses = {f"{prefix}{name}_loss": 1 / step for name in LOSSES}
    rest = {"val_loss": 1.0} if prefix else {"learning_rate": 1e-3}
    return {"phase": phase, "step": step, **losses, **rest}


@pytest.mark.parametrize("phases", [["all"], ["encoder", "pointer", "all"]])
def test_curves(tmp_path, phases):
    steps = range(1, 1 + 10 * len(phases))
    history = [record(phases[(step - 1) // 10], step) for step in steps]
    history.append(record(phases[-1], steps[-1], "val_"))
    plots.save_curves(history, tmp_path / "curves.png")
    assert is_drawn(tmp_path / "curves.png")


def whole_history():
    """Three phases, of which the second ended after its first window."""
    steps = {"encoder": (10, 20, 30), "pointer": (40,), "all": (50, 60)}
    history = []
    for phase, ends in steps.items():
        history += [
            record(phase, step) | {"gradient_norm": 2.0} for step in ends
        ]
        history.append(record(phase, ends[-1], "val_"))
    return history


def without(history, name):
    return [{k: v for k, v in r.items() if k != name} for r in history]


def test_curves_of_any_history(tmp_path):
    history = whole_history()
    norms = [math.inf, math.nan, 0.0, 1e-3, 1e5]
    histories = {
        "whole": history,
        "windows only": [r for r in history if "learning_rate" in r],
        "one record": history[:1],
        "validations only": [r for r in history if "val_loss" in r],
        "no gate": without(history, "gate_loss"),
        "no gradient norm": without(history, "gradient_norm"),
        "norms that are no numbers": [
            history[i] | {"gradient_norm": norm} for i, norm in enumerate(norms)
        ],
        "a norm of 0": [history[0] | {"gradient_norm": 0.0}],
        "nothing": [],
    }
    pictures = set()
    for name, records in histories.items():
        path = tmp_path / f"{name}.png"
        plots.save_curves(records, path)
        assert is_drawn(path), name
        pictures.add(path.read_bytes())
    assert len(pictures) == len(histories)


def test_curves_have_room_for_the_gradient_norm(tmp_path):
    history = whole_history()
    heights = []
    for records in (history, without(history, "gradient_norm")):
        plots.save_curves(records, tmp_path / "curves.png")
        heights.append(image.imread(tmp_path / "curves.png").shape[0])
    assert heights[0] > heights[1] + 100


def test_every_loss_that_is_there_is_drawn(monkeypatch, tmp_path):
    labels = []
    monkeypatch.setattr(
        plots.Figure,
        "savefig",
        lambda figure, _: labels.extend(
            line.get_label()
            for axes in figure.axes
            for line in axes.lines
            if not line.get_label().startswith("_")
        ),
    )
    history = without(whole_history(), "val_gate_loss")
    plots.save_curves(without(history, "pointer_loss"), tmp_path / "x.png")
    assert labels == [
        "language model (mixture)",
        "language model (mixture), held out",
        "generator alone",
        "generator alone, held out",
        "pointer, held out",
        "gate",
    ]


def test_schedule(tmp_path):
    phases = {"encoder": 20, "pointer": 30, "all": 50}
    noisy = CosineDecayWithNoise(
        100, steps_per_epoch=5, noise_probability=0.2, noise_scale=0.1
    )
    # Flat, undisturbed, of one step.
    flat = CosineDecayWithNoise(1, start=1e-3, end=1e-3)
    pictures = []
    for i, (schedule, lengths, note) in enumerate(
        [
            (noisy, phases, ""),
            (noisy, phases, "a note"),
            (noisy.without_noise(), phases, ""),
            (flat, {"all": 1}, ""),
        ]
    ):
        path = tmp_path / f"{i}.png"
        plots.save_schedule(schedule, lengths, path, note)
        assert is_drawn(path)
        pictures.append(path.read_bytes())
    assert len(set(pictures)) == 4


def test_a_long_schedule_is_drawn_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "_MAX_STEPS", 100)
    seen = []

    class Seen(CosineDecayWithNoise):
        def __call__(self, step):
            seen.append(len(step))
            return super().__call__(step)

    plots.save_schedule(Seen(2**31 - 1), {"all": 2**31 - 1}, tmp_path / "x.png")
    assert seen == [101, 101]
    assert is_drawn(tmp_path / "x.png")


@pytest.mark.parametrize(
    "tokens",
    [
        ["The", " cat", " saw", " the", " cat", "\n\n", "    ", "$x_1$", "é"],
        ["a", "b", "c"],  # Nothing repeats.
    ],
)
def test_pointer(tmp_path, tokens):
    num_tokens = len(tokens) - 1
    probs = np.tril(np.ones((num_tokens, num_tokens)))
    attention = {
        "pointer_probs": probs / probs.sum(-1, keepdims=True),
        "gate": np.linspace(0, 1, num_tokens),
    }
    plots.save_pointer(attention, tokens, tmp_path / "pointer.png")
    assert is_drawn(tmp_path / "pointer.png")
    file = io.BytesIO()
    plots.save_pointer(attention, tokens, file)
    assert file.getvalue() == (tmp_path / "pointer.png").read_bytes()


def is_drawn(path):
    """Whether a picture has ink of several colours on it."""
    pixels = image.imread(path)
    height, width, _ = pixels.shape
    colors = np.unique((pixels * 255).astype("uint8").view("uint32"))
    return height > 300 and width > 300 and len(colors) > 50


@pytest.mark.parametrize(
    ("token", "label"),
    [
        (" the", "the"),
        ("   ", "␣␣␣"),
        ("\n\n", "⏎⏎"),
        ("\tx", "⇥x"),
        ("$", r"\$"),
        ("a" * 20, "a" * 13 + "…"),
    ],
)
def test_labels_show_white_space(token, label):
    assert plots.readable(token) == label
