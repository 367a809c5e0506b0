"""Pictures are drawn for any run and any passage."""

import numpy as np
import pytest
from matplotlib import image

from gpt3_keras.evaluation import plots

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


def is_drawn(path):
    """Whether a picture has ink of several colours on it."""
    pixels = image.imread(path)
    height, width, _ = pixels.shape
    colors = np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)
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
