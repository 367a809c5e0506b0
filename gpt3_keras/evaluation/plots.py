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
_MAX_STEPS = 1_000_000  # Of a longer run, every second or third is drawn.
_CURVES = {
    "language_model_loss": "language model (mixture)",
    "generator_loss": "generator alone",
    "pointer_loss": "pointer",
    "gate_loss": "gate",
}


def save_curves(history, path):
    """Draws losses, learning rate and gradient norm of a run over its steps.

    What no record has is left out.

    Args:
        history: list of the records that `training.callbacks` makes.
        path: of the PNG.
    """
    norms = _points(history, "gradient_norm")[1]
    heights = (4, 3, 2, 2) if np.any(norms > 0) else (4, 3, 2)
    size = (9, 1.4 + 0.75 * sum(heights))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    panels = figure.subplots(len(heights), sharex=True, height_ratios=heights)
    upper, lower, *norm, rate = panels
    homes = (upper, upper, lower, lower)
    for axes, name, color in zip(homes, _CURVES, _COLORS, strict=True):
        _curve(axes, history, name, color)
    for axes in (upper, lower):
        if axes.lines:
            axes.legend(frameon=False, ncols=2, labelcolor=_INK)
    upper.set_ylabel("nats per token")
    lower.set_ylabel("loss per position")
    for axes in norm:
        _line(axes, history, "gradient_norm", color=_INK, linewidth=1.0)
        axes.set_yscale("log", nonpositive="mask")
        axes.minorticks_off()
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylabel("gradient norm")
    _line(rate, history, "learning_rate", color=_INK)
    _scale_rate(rate)
    last_steps = {record["phase"]: record["step"] for record in history}
    for axes in panels:
        _clean(axes)
        _mark_phases(axes, last_steps, name_them=axes is upper)
    figure.savefig(path)


def save_schedule(schedule, phases, path, note=""):
    """Draws the learning rate over all steps of a run.

    A line is the rate without noise; dots are the steps that it disturbs, at
    the rates that they will have.

    Args:
        schedule: a `schedules.CosineDecayWithNoise`.
        phases: dict from each phase's name to its number of steps, in order.
        path: of the PNG.
        note: str, written above the picture.
    """
    every = max(1, schedule.decay_steps // _MAX_STEPS)
    steps = np.arange(0, schedule.decay_steps, every)
    rates = np.asarray(schedule(steps))
    calm = np.asarray(schedule.without_noise()(steps))
    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, calm, color=_INK, linewidth=1.6, label="learning rate")
    is_disturbed = rates != calm
    if is_disturbed.any():
        axes.scatter(
            steps[is_disturbed],
            rates[is_disturbed],
            s=9,
            color=_COLORS[1],
            alpha=0.6,
            linewidths=0,
            label=f"with noise, {is_disturbed.mean():.1%} of the steps",
        )
        axes.legend(frameon=False, labelcolor=_INK)
    _scale_rate(axes)
    _clean(axes)
    _mark_phases(
        axes,
        dict(zip(phases, itertools.accumulate(phases.values()), strict=True)),
        name_them=True,
    )
    for text, side, weight in (
        (f"Learning rate over {schedule.decay_steps:,} steps", "left", "bold"),
        (note, "right", "normal"),
    ):
        axes.set_title(
            text, loc=side, pad=24, color=_INK, fontweight=weight, fontsize=10
        )
    figure.savefig(path)


def _scale_rate(axes):
    """Rates from 0 on, written as in a config: 5e-5; thousands of steps."""
    axes.set_ylim(bottom=0)
    axes.set_ylabel("learning rate")
    axes.set_xlabel("step")
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(lambda rate, _: _short(rate))


def _short(rate):
    """A rate as one writes it in a config.

    >>> _short(0.0), _short(0.00025), _short(1e-4)
    ('0', '2.5e-4', '1e-4')
    """
    mantissa, exponent = f"{rate:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}" if rate else "0"


def _points(history, name):
    """Steps and values of the records that have a number of that name."""
    points = [(r["step"], r[name]) for r in history if name in r]
    points = np.array(points, float).reshape(-1, 2)
    return points[np.isfinite(points[:, 1])].T


def _line(axes, history, name, **style):
    """A line through all points; a lone one is marked."""
    steps, values = _points(history, name)
    if len(steps):
        marker = "." if len(steps) == 1 else ""
        axes.plot(steps, values, **{"marker": marker, **style}, clip_on=False)


def _curve(axes, history, name, color):
    """A loss in training as a line, in validation as dots."""
    _line(axes, history, name, color=color, label=_CURVES[name])
    _line(
        axes,
        history,
        f"val_{name}",
        color=color,
        marker="o",
        linestyle="none",
        markeredgecolor="white",
        zorder=3,
        label=f"{_CURVES[name]}, held out",
    )


def _mark_phases(axes, last_steps, name_them):
    """Shades every second phase and, on request, writes their names."""
    start = 0
    for i, (phase, end) in enumerate(last_steps.items()):
        if i % 2:
            axes.axvspan(
                start, end, color=_FAINT, alpha=0.35, linewidth=0, zorder=0
            )
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
    axes.set_xlim(0, max(start, 1))


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
        path: of the PNG, or a binary file to write it to.
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
