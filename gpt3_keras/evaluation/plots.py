"""Pictures of a run and of its pointer."""

import itertools

import numpy as np
from matplotlib import ticker
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

_INK = "#22303c"
_FAINT = "#d5dbe1"
_COLORS = ("#1f6f8b", "#d1495b", "#edae49", "#66a182")
_HEAT = ("#f3f5f7", "#fbd9a8", "#ef8a5b", "#c2325f", "#3b0f4a")
_CURVES = {
    "language_model_loss": "language model (mixture)",
    "generator_loss": "generator alone",
    "pointer_loss": "pointer",
    "gate_loss": "gate",
}


def save_curves(history, path):
    """Draws the losses and the learning rate of a run over its steps.

    Args:
        history: list of the records that `training.callbacks.StepMonitor`
            makes.
        path: of the PNG.
    """
    windows = [record for record in history if "learning_rate" in record]
    validations = [record for record in history if "val_loss" in record]
    figure = Figure(figsize=(9, 8), dpi=120, layout="constrained")
    upper, lower, rate = figure.subplots(
        3, 1, sharex=True, height_ratios=(4, 3, 2)
    )
    groups = (upper, list(_CURVES)[:2]), (lower, list(_CURVES)[2:])
    colors = dict(zip(_CURVES, _COLORS, strict=True))
    for axes, names in groups:
        for name in names:
            _curve(axes, windows, validations, name, colors[name])
        axes.legend(frameon=False, ncols=2, labelcolor=_INK)
    upper.set_ylabel("nats per token")
    lower.set_ylabel("loss per position")
    steps = [record["step"] for record in windows]
    rate.plot(steps, [r["learning_rate"] for r in windows], color=_INK)
    rate.set_ylim(bottom=0)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    rate.yaxis.set_major_formatter(ticker.FormatStrFormatter("%.1e"))
    for axes in (upper, lower, rate):
        _clean(axes)
        _mark_phases(axes, windows, name_them=axes is upper)
    figure.savefig(path)


def _curve(axes, windows, validations, name, color):
    """A loss in training as a line, in validation as dots."""
    label = _CURVES[name]
    steps = [record["step"] for record in windows]
    axes.plot(steps, [r[name] for r in windows], color=color, label=label)
    axes.plot(
        [record["step"] for record in validations],
        [record[f"val_{name}"] for record in validations],
        marker="o",
        linestyle="none",
        color=color,
        markeredgecolor="white",
        clip_on=False,
        zorder=3,
        label=f"{label}, held out",
    )


def _mark_phases(axes, windows, name_them):
    """Shades every second phase and, on request, writes their names."""
    phases = list(dict.fromkeys(record["phase"] for record in windows))
    start = 0
    for i, phase in enumerate(phases):
        end = max(r["step"] for r in windows if r["phase"] == phase)
        if i % 2:
            axes.axvspan(start, end, color=_FAINT, alpha=0.35, linewidth=0)
        if name_them:
            axes.annotate(
                phase,
                ((start + end) / 2, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                color=_INK,
            )
        start = end
    axes.set_xlim(0, start)


def _clean(axes):
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)
    axes.tick_params(colors=_INK, length=0)
    axes.yaxis.label.set_color(_INK)
    axes.xaxis.label.set_color(_INK)
    axes.grid(axis="y", color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def save_pointer(attention, tokens, path):
    """Draws the pointer distribution over a passage, and the gate beside it.

    A row is a position: how strongly the pointer points from there at each
    token so far, and beside it how likely the next token is copied. The
    tokens are written under the columns and, before the rows, as "token,
    next token".

    Args:
        attention: dict of `"pointer_probs"`, float (T, T), and `"gate"`,
            float (T,), the probability of generating.
        tokens: T + 1 strings, the tokens and the one after them.
        path: of the PNG.
    """
    probs = np.asarray(attention["pointer_probs"])
    copied = 1 - np.asarray(attention["gate"])[:, None]
    num_tokens = len(probs)
    labels = [readable(token) for token in tokens]
    side = 2.4 + 0.2 * num_tokens
    figure = Figure(figsize=(side + 1.4, side), dpi=120, layout="constrained")
    map_axes, gate_axes = figure.subplots(
        1, 2, sharey=True, width_ratios=(num_tokens, 1.6)
    )
    future = np.triu(np.ones_like(probs, bool), 1)
    image = map_axes.imshow(
        np.ma.masked_where(future, probs),
        cmap=LinearSegmentedColormap.from_list("pointer", _HEAT),
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
    )
    gate_axes.imshow(copied, cmap="Greens", vmin=0, vmax=1, aspect="auto")
    _mark_copies(map_axes, tokens, num_tokens)
    _label_pointer(map_axes, gate_axes, labels, copied)
    bar = figure.colorbar(image, ax=gate_axes, fraction=0.9, aspect=40, pad=1.2)
    bar.set_label("pointer probability", color=_INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_INK, length=0)
    figure.savefig(path)


def _mark_copies(axes, tokens, num_tokens):
    """Rings the positions that hold the token which comes next."""
    pairs = [
        (source, target)
        for target in range(num_tokens)
        for source in range(target + 1)
        if tokens[source] == tokens[target + 1]
    ]
    axes.scatter(
        [source for source, _ in pairs],
        [target for _, target in pairs],
        s=34,
        facecolors="none",
        edgecolors=_COLORS[0],
        linewidths=1.1,
        label="holds the next token",
    )


def _label_pointer(map_axes, gate_axes, labels, copied):
    num_tokens = len(labels) - 1
    font = {"family": "monospace", "fontsize": 7.5, "color": _INK}
    map_axes.set_xticks(range(num_tokens), labels[:-1], rotation=90, **font)
    rows = [
        f"{token} → {following}"
        for token, following in itertools.pairwise(labels)
    ]
    map_axes.set_yticks(range(num_tokens), rows, **font)
    map_axes.set_xlabel("tokens so far", color=_INK)
    map_axes.set_ylabel("token → the one after it", color=_INK)
    map_axes.set_title(
        "Where the pointer points",
        loc="left",
        color=_INK,
        fontweight="bold",
    )
    map_axes.legend(loc="upper right", frameon=False, labelcolor=_INK)
    gate_axes.set_title("copy gate", color=_INK, fontsize=9)
    gate_axes.set_xticks([])
    for row, (share,) in enumerate(copied):
        gate_axes.text(
            0,
            row,
            f"{share:.0%}",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if share > 0.6 else _INK,
        )
    for axes in (map_axes, gate_axes):
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)


def readable(token):
    r"""A token as a label: white space is seen, and a long one is cut.

    >>> readable(" the"), readable("\n\n"), readable("   ")
    ('the', '⏎⏎', '␣␣␣')
    """
    label = token.strip(" ") or token.replace(" ", "␣")
    label = label.replace("\n", "⏎").replace("\t", "⇥").replace("$", r"\$")
    return label if len(label) <= 14 else f"{label[:13]}…"
