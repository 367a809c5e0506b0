"""The JAX train step: a pure function of a state and a batch.

A state is what Keras' trainer carries: tuples of the values of the trainable,
the other, the optimizer's and the metrics' variables.
"""

import jax
import keras
from jax import numpy as jnp
from keras import tree

from gpt3_keras.backend import loss_scaling
from gpt3_keras.backend import optimizers
from gpt3_keras.backend.errors import IS_BAD


def train_step(model, state, data):
    """One update from one batch, whatever it has been cut into.

    Args:
        model: a compiled `GPT3CausalLM`. Its `micro_batches` says into how
            many parts the rows are cut; memory is that of a part.
        state: the values of the model's variables.
        data: the batch, as `data/batch.py` defines it. Its rows may lie on
            several devices.

    Returns:
        What `model.record` makes of the sums over the batch, see
        `GPT3CausalLM.compute_losses`, and of `"gradient_norm"`; and the new
        state, which is the old one where a number is none.
    """
    trainable, others, of_optimizer, metrics = map(list, state)
    optimizer, loss_scale = loss_scaling.unwrap(model.optimizer)
    with _values(model.optimizer.variables, of_optimizer):
        key = model.dropout_key()
        scale = None
        if loss_scale is not None:
            scale = jnp.asarray(loss_scale.dynamic_scale.value)
    sums, gradients = _accumulate(
        model, model.unpack(data), (trainable, others), key, scale
    )
    num_targets = jnp.maximum(sums["num_targets"], 1.0)
    gradients = [gradient / num_targets for gradient in gradients]
    norms = jnp.stack([jnp.linalg.norm(g.ravel()) for g in gradients])
    is_bad = ~jnp.isfinite(
        jnp.concatenate([jnp.stack(tree.flatten(sums)), norms])
    )
    is_fine = ~jnp.any(is_bad)
    new_trainable, new_of_optimizer = _updated(
        model, optimizer, of_optimizer, gradients, trainable
    )

    def choose(new, old):
        return jnp.where(is_fine, new, old)

    trainable = jax.tree.map(choose, list(new_trainable), trainable)
    of_optimizer = jax.tree.map(choose, new_of_optimizer, of_optimizer)
    report = {"gradient_norm": jnp.linalg.norm(norms)}
    if loss_scale is not None:
        is_bad, of_optimizer, report["loss_scale"] = _scaled_again(
            model, loss_scale, of_optimizer, is_fine, is_bad
        )
    sums = tree.map_structure(lambda x: jnp.where(is_fine, x, 0.0), sums)
    logs, metrics = _recorded(model, sums, metrics)
    logs = {**logs, **report, IS_BAD: is_bad}
    return logs, (trainable, others, of_optimizer, metrics)


def test_step(model, state, data):
    """As `train_step`, without an update and without its optimizer's part."""
    trainable, others, metrics = map(list, state)
    sums, _ = _accumulate(model, model.unpack(data), (trainable, others))
    logs, metrics = _recorded(model, sums, metrics)
    return logs, (trainable, others, metrics)


def _values(variables, values):
    """A scope in which variables have other values."""
    return keras.StatelessScope(
        state_mapping=list(zip(variables, values, strict=True))
    )


def _recorded(model, sums, values):
    """The metrics' results with some sums added, and their new values."""
    with _values(model.metrics_variables, values) as scope:
        logs = model.record(sums)
    return logs, _new_values(scope, model.metrics_variables)


def _new_values(scope, variables):
    """What variables have in the end in a scope of `_values`."""
    return [scope.get_current_value(variable) for variable in variables]


def _updated(model, optimizer, values, gradients, trainable):
    """New values of the trainable variables, and of all the optimizer's."""
    variables = model.optimizer.variables
    numbers = {id(variable): i for i, variable in enumerate(variables)}
    own = [numbers[id(variable)] for variable in optimizer.variables]
    with optimizers.learning_rate_made_once(optimizer):
        trainable, new = optimizer.stateless_apply(
            [values[i] for i in own], gradients, trainable
        )
    values = list(values)
    for i, value in zip(own, new, strict=True):
        values[i] = value
    return trainable, values


def _scaled_again(model, loss_scale, values, is_fine, is_bad):
    """The optimizer's values with the next scale.

    Also what is bad: nothing, as long as a smaller scale may help; and the
    scale.
    """
    with _values(model.optimizer.variables, values) as scope:
        new_scale = loss_scaling.update(loss_scale, is_fine)
    values = _new_values(scope, model.optimizer.variables)
    is_hopeless = new_scale < loss_scaling.LEAST_LOSS_SCALE
    return is_bad & is_hopeless, values, new_scale


def _accumulate(model, batch, state, key=None, mean_scale=None):
    """Sums of losses and of gradients over the micro-batches.

    Without a key, the losses alone, as evaluation wants them. `mean_scale` is
    the float16 scale of a mean loss, or None.
    """
    trainable, others = state
    is_training = key is not None

    def objective(trainable, part):
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        with _values(variables, [*trainable, *others]):
            sums = model.compute_losses(
                *part, training=is_training, dropout_key=key
            )
        return sums["objective"] * scale, sums

    def of_part(part):
        if not is_training:
            return objective(trainable, part)[1], []
        gradients, sums = jax.grad(objective, has_aux=True)(trainable, part)
        return sums, [g.astype("float32") / scale for g in gradients]

    parts = jax.tree.map(lambda x: _split(x, model.micro_batches), batch)
    first = jax.tree.map(lambda x: x[0], parts)
    scale = 1.0
    if mean_scale is not None:
        scale = loss_scaling.of_a_sum(mean_scale, first[2])
    if model.micro_batches == 1:
        return of_part(first)

    def add(total, part):
        return jax.tree.map(jnp.add, total, of_part(part)), None

    start = jax.tree.map(
        lambda spec: jnp.zeros(spec.shape, spec.dtype),
        jax.eval_shape(of_part, first),
    )
    return jax.lax.scan(add, start, parts)[0]


def _split(x, num_parts):
    """Rows (B, ...) as (num_parts, rows of a part, ...), filled up with zeros.

    Rows that lie side by side go to different parts: so each part has rows of
    every device. A row of zeros has the weight 0.
    """
    missing = -x.shape[0] % num_parts
    x = jnp.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1))
    return jnp.swapaxes(x.reshape(-1, num_parts, *x.shape[1:]), 0, 1)
