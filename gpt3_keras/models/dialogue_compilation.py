"""What `GPT3DialogueModel.compile` takes: its rules, and how it is saved."""

from gpt3_keras.models.dialogue_objective import LOSS_WEIGHTS


def check(label_smoothing, similarity_form):
    """Raises for what `compile` cannot take."""
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            "label_smoothing must be in [0, 1). Received: "
            f"label_smoothing={label_smoothing}."
        )
    if similarity_form not in ("log_sum_exp", "least_squares"):
        raise ValueError(
            'similarity_form must be "log_sum_exp" or "least_squares". '
            f"Received: similarity_form={similarity_form!r}."
        )


def term_weights(loss_weights):
    """The default weights with the given ones in their place."""
    weights = {**LOSS_WEIGHTS, **(loss_weights or {})}
    if set(weights) != set(LOSS_WEIGHTS):
        raise ValueError(
            "loss_weights must only have the keys "
            f"{list(LOSS_WEIGHTS)}. Received: "
            f"loss_weights={loss_weights}."
        )
    return weights


def config(model, keras_config):
    """What `get_compile_config` gives, from Keras' own part."""
    if not keras_config:
        return keras_config
    return {
        **keras_config,
        "loss_weights": model.loss_weights,
        "label_smoothing": model.label_smoothing,
        "similarity_form": model.similarity_form,
        "similarity_temperature": model.similarity_temperature,
        "micro_batches": model.micro_batches,
        "seed": model.seed,
        "jit_compile": model.compiles_step,
        "has_optimizer_state": model.optimizer.built,
    }
