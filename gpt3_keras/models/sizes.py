"""Sizes of a backbone: which are allowed, and how many weights they make.

All of it from the arguments alone: a model that is too large is refused before
it takes memory.
"""

import math

POSITION_ENCODINGS = ("learned", "sinusoidal")
_SIZES = (
    "vocabulary_size",
    "num_layers",
    "num_heads",
    "hidden_dim",
    "max_sequence_length",
    "max_parameters",
)


def check_arguments(config):
    """Raises for arguments that no layer would name as clearly.

    Args:
        config: dict of `GPT3Backbone`'s arguments.
    """
    for name in _SIZES:
        value = config[name]
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{name} must be a positive integer. Received: "
                f"{name}={value!r}."
            )
    widths = config["pointer_hidden_dims"]
    if not all(isinstance(width, int) and width >= 1 for width in widths):
        raise ValueError(
            "pointer_hidden_dims must be positive integers. Received: "
            f"pointer_hidden_dims={widths}."
        )
    if not 0 <= config["dropout"] < 1:
        raise ValueError(
            f"dropout must be in [0, 1). Received: dropout={config['dropout']}."
        )
    if config["position_encoding"] not in POSITION_ENCODINGS:
        raise ValueError(
            f"position_encoding must be one of {POSITION_ENCODINGS}. "
            f"Received: position_encoding={config['position_encoding']!r}."
        )


def check_size(config):
    """Raises when the model would have more than `max_parameters` weights.

    The message is a line with the rule, a table of the parts, and a line that
    names the nearest sizes which would fit.

    Args:
        config: dict of `GPT3Backbone`'s arguments.
    """
    if _fits(config):
        return
    counts = parameter_counts(config)
    raise ValueError(
        "The model must not have more than max_parameters weights. Received: "
        f"{sum(counts.values()):,} weights, "
        f"max_parameters={config['max_parameters']:,}.\n"
        f"{_table(counts)}\n"
        f"{_advice(config)}"
    )


def parameter_counts(config):
    """How many weights each part of a backbone has.

    Args:
        config: dict of `GPT3Backbone`'s arguments.

    Returns:
        Dict from the part's name to an int. Their sum is `count_params()`.

    Example:

    ```python
    >>> counts = parameter_counts({
    ...     "vocabulary_size": 100, "num_layers": 1, "num_heads": 2,
    ...     "hidden_dim": 8, "max_sequence_length": 16, "rnn": "gru",
    ...     "pointer_hidden_dims": (4,), "share_pointer_parameters": True,
    ...     "position_encoding": "sinusoidal", "tie_word_embeddings": True})
    >>> counts["token_embedding"], counts["pointer_position_bias"]
    (800, 256)

    ```
    """
    hidden_dim = config["hidden_dim"]
    length = config["max_sequence_length"]
    embedding = config["vocabulary_size"] * hidden_dim
    block = _block(hidden_dim, config["rnn"])
    counts = {"token_embedding": embedding}
    if not config["tie_word_embeddings"]:
        counts["output_matrix"] = embedding
    if config["position_encoding"] == "learned":
        counts["position_embedding"] = length * hidden_dim
    norm = _norm(hidden_dim)
    counts["encoder"] = config["num_layers"] * block + norm
    counts["pointer"] = _pointer(config)
    counts["pointer_position_bias"] = length * length
    counts["generator"] = block + norm
    return counts


def _dense(num_inputs, num_units, use_bias=True):
    return num_inputs * num_units + use_bias * num_units


def _norm(hidden_dim):
    return 2 * hidden_dim


def _block(hidden_dim, rnn):
    """An `AutoregressiveBlock`: two norms, attention, recurrence, dense."""
    gates = (3 if rnn == "gru" else 4) * hidden_dim
    square = _dense(hidden_dim, hidden_dim)
    key = _dense(hidden_dim, hidden_dim, use_bias=False)
    # The recurrence has a bias on its input and one on its state.
    recurrent = 2 * _dense(hidden_dim, gates)
    return 2 * _norm(hidden_dim) + (3 * square + key) + recurrent + square


def _pointer(config):
    """A `Pointer` without its matrix of positions."""
    hidden_dim = config["hidden_dim"]
    count = hidden_dim  # The predecessor's share.
    if not config["share_pointer_parameters"]:
        count += _dense(hidden_dim, hidden_dim)
        count += _dense(hidden_dim, hidden_dim, use_bias=False)
    width = 2 * hidden_dim
    for units in (*config["pointer_hidden_dims"], 1):
        count += _dense(width, units)
        width = units
    return count


def _fits(config, **sizes):
    counts = parameter_counts({**config, **sizes})
    return sum(counts.values()) <= config["max_parameters"]


def _table(counts):
    total = sum(counts.values())
    rows = [("part", "weights", "share")]
    for name, count in (*counts.items(), ("total", total)):
        rows.append((name, f"{count:,}", f"{count / total:.1%}"))
    names, weights, shares = (max(map(len, x)) for x in zip(*rows, strict=True))
    return "\n".join(
        f"  {name:<{names}}  {count:>{weights}}  {share:>{shares}}"
        for name, count, share in rows
    )


def _advice(config):
    """Each size that makes the model fit, the others staying as they are."""
    found = {
        "num_layers": _largest(config, "num_layers"),
        "hidden_dim": _largest_hidden_dim(config),
    }
    if not any(found.values()):
        for name in ("vocabulary_size", "max_sequence_length"):
            found[name] = _largest(config, name)
    sizes = [f"{name}={size}" for name, size in found.items() if size]
    if sizes:
        return (
            f"With the other arguments as they are, {' or '.join(sizes)} "
            "would fit."
        )
    *names, last = found
    return (
        f"No smaller {', '.join(names)} or {last} alone would fit: lower "
        "several of them, or raise max_parameters."
    )


def _largest_hidden_dim(config):
    """Wide heads first: what 8 a head or 64 divides is fast to compute."""
    num_heads = config["num_heads"]
    # One of the two divides the other.
    wide = min(8 * num_heads, math.lcm(64, num_heads))
    return _largest(config, "hidden_dim", wide) or _largest(
        config, "hidden_dim", num_heads
    )


def _largest(config, name, step=1):
    """The largest multiple of `step` below `config[name]` that fits, or 0."""
    low, high = 0, (config[name] - 1) // step
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(config, **{name: middle * step}):
            low = middle
        else:
            high = middle - 1
    return low * step
