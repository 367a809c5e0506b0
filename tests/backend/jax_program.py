"""The compiled training step of JAX, to be read."""

import jax
import keras

from gpt3_keras import backend


def step_program(model, data):
    """The HLO of a model's step, spread as `keras.distribution` says.

    Args:
        model: a compiled `GPT3CausalLM` that has learnt for a step.
        data: a batch, NumPy arrays.
    """
    layout_of = keras.distribution.distribution().get_data_layout

    def on_mesh(array):
        return jax.device_put(array, layout_of(array.shape).backend_layout)

    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([v.value for v in group] for group in groups)
    step = jax.jit(
        lambda *arguments: backend.train_step(model, *arguments),
        out_shardings=(
            None,
            jax.tree.map(lambda value: value.sharding, state),
        ),
    )
    lowered = step.lower(state, jax.tree.map(on_mesh, data))
    return lowered.compile().as_text()
