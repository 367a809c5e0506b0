"""What the models' `compile` takes: its rules, and how it is saved."""

import random

import keras

from gpt3_keras import backend


def check(loss, weighted_metrics, micro_batches, **positive):
    """Raises for what no model's `compile` can take.

    Args:
        loss, weighted_metrics, micro_batches: arguments of `compile`.
        **positive: its arguments that must be positive, by name.
    """
    for name, value in (("loss", loss), ("weighted_metrics", weighted_metrics)):
        if value not in ("auto", None):
            raise ValueError(
                f'{name} must be "auto": the model brings its own; weigh its '
                f"terms with loss_weights. Received: {name}={value!r}."
            )
    for name, value in positive.items():
        if value <= 0:
            raise ValueError(
                f"{name} must be positive. Received: {name}={value}."
            )
    if not isinstance(micro_batches, int) or micro_batches < 1:
        raise ValueError(
            "micro_batches must be a positive integer. Received: "
            f"micro_batches={micro_batches!r}."
        )


def check_sparse(sparse_targets, jit_compile):
    """Raises where the head's size would vary inside of a compiled graph."""
    if sparse_targets and jit_compile:
        raise ValueError(
            "sparse_targets needs shapes that vary, which XLA does not "
            "compile. Received: sparse_targets=True, jit_compile="
            f"{jit_compile!r}."
        )


def check_optimizer(optimizer, backbone):
    """The optimizer that `compile` was given, as the train step wants it.

    In float16 it stands inside of a `LossScaleOptimizer`.
    """
    if optimizer == "auto":
        optimizer = keras.optimizers.AdamW(1e-3)
    optimizer = keras.optimizers.get(optimizer)
    steps = getattr(optimizer, "gradient_accumulation_steps", None)
    if steps is not None:
        raise ValueError(
            "The optimizer's gradient_accumulation_steps must be None: "
            "micro_batches in compile accumulates, and weighs every token "
            f"alike. Received: gradient_accumulation_steps={steps}."
        )
    is_scaled = hasattr(optimizer, "inner_optimizer")
    if backbone.compute_dtype == "float16" and not is_scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def check_seed(seed):
    """The seed that `compile` was given, or one of its own."""
    if seed is None:
        return random.getrandbits(32)
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(
            f"seed must be an integer in [0, 2**32). Received: seed={seed!r}."
        )
    return seed


def term_weights(loss_weights, defaults):
    """The default weights with the given ones in their place."""
    weights = {**defaults, **(loss_weights or {})}
    if set(weights) != set(defaults):
        raise ValueError(
            f"loss_weights must only have the keys {list(defaults)}. "
            f"Received: loss_weights={loss_weights}."
        )
    return weights


def config(model, keras_config, names):
    """What a model's `get_compile_config` gives, from Keras' own part.

    Args:
        model: the model.
        keras_config: dict, or empty where the model is not compiled.
        names: of its own arguments, which are attributes of the same names.
    """
    if not keras_config:
        return keras_config
    return {
        **keras_config,
        **{name: getattr(model, name) for name in names},
        "micro_batches": model.micro_batches,
        "seed": model.seed,
        "jit_compile": model.compiles_step,
        "has_optimizer_state": model.optimizer.built,
    }


def from_config(model, config):
    """Compiles a model as `config` says; its optimizer gets its variables."""
    config = keras.saving.deserialize_keras_object(config)
    has_optimizer_state = config.pop("has_optimizer_state")
    model.compile(**config)
    if has_optimizer_state:
        backend.build_optimizer(model)
