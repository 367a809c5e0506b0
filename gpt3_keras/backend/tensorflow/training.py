"""The TensorFlow train step, on one device or under a `tf.distribute` strategy.

What a replica does: sums of losses and of gradients over its micro-batches,
then one all-reduce of all sums together. From there on every replica holds
the same numbers: divide, clip, update once.
"""

import tensorflow as tf
from keras import tree

from gpt3_keras.backend import errors
from gpt3_keras.backend import loss_scaling
from gpt3_keras.backend import optimizers
from gpt3_keras.backend.tensorflow import checks
from gpt3_keras.backend.tensorflow import cudnn
from gpt3_keras.backend.tensorflow.head import fresh_zero


def train_step(model, data):
    """One update from one batch, whatever it has been cut into.

    Args:
        model: a compiled `GPT3CausalLM`. Its `micro_batches` says into how
            many parts this replica's rows are cut; memory is that of a part.
        data: this replica's rows, as `data/batch.py` defines them.

    Returns:
        What `model.record` makes of the sums over the whole batch, see
        `GPT3CausalLM.compute_losses`, and of `"gradient_norm"`. On a TPU,
        where no operation can fail, also `errors.IS_BAD`.
    """
    optimizer, loss_scale = loss_scaling.unwrap(model.optimizer)
    variables = model.trainable_variables
    sums, gradients = _all_reduce(
        *_accumulate(model, model.unpack(data), variables, loss_scale)
    )
    num_targets = tf.maximum(sums["num_targets"], 1.0)
    gradients = [gradient / num_targets for gradient in gradients]
    # Unlike `tf.norm`, `l2_loss` makes no tensor of squares.
    norms = tf.sqrt(2.0 * tf.stack([tf.nn.l2_loss(g) for g in gradients]))
    is_bad = ~tf.math.is_finite(
        tf.concat([tf.stack(tree.flatten(sums)), norms], axis=0)
    )
    is_fine = ~tf.reduce_any(is_bad)
    undoes = loss_scale is not None or on_tpu()
    guards, state = [], []
    if undoes:
        state = [*variables, *optimizer.variables]
    else:
        guards.append(
            checks.assert_finite(is_fine, optimizer.iterations, is_bad)
        )
    before = [tf.identity(variable.value) for variable in state]
    with (
        tf.control_dependencies(guards),
        _reduced_already(optimizer),
        optimizers.learning_rate_made_once(optimizer),
    ):
        optimizer.apply(gradients, variables)

    def finish(strategy, sums, norms, is_fine, is_bad, before):
        report = {}
        if undoes:
            _undo_unless(strategy, is_fine, state, before)
        if loss_scale is not None:
            report = _update_loss_scale(strategy, loss_scale, is_fine, is_bad)
        elif undoes:
            report[errors.IS_BAD] = checks.local(is_bad, strategy)
        sums, norms, is_fine = checks.local((sums, norms, is_fine), strategy)
        report["gradient_norm"] = tf.norm(norms)
        sums = tree.map_structure(lambda x: tf.where(is_fine, x, 0.0), sums)
        return {**model.record(sums), **report}

    with tf.control_dependencies(guards):
        return tf.distribute.get_replica_context().merge_call(
            finish, args=(sums, norms, is_fine, is_bad, before)
        )


def test_step(model, data):
    """As `train_step`, without an update."""
    sums, _ = _all_reduce(*_accumulate(model, model.unpack(data), None))
    return tf.distribute.get_replica_context().merge_call(
        lambda strategy, sums: model.record(checks.local(sums, strategy)),
        args=(sums,),
    )


def _accumulate(model, batch, variables, loss_scale=None):
    """Sums of losses and of gradients over the micro-batches of a replica.

    Without `variables`, the losses alone, as evaluation wants them.
    """
    key = None if variables is None else model.dropout_key()
    scale = None if loss_scale is None else loss_scale.dynamic_scale.value

    def accumulate(batch, key, scale):
        parts = tree.map_structure(
            lambda x: _split(x, model.micro_batches), batch
        )

        def add(index, sums, gradients):
            part = tree.map_structure(lambda x: x[index], parts)
            new, gradients = _of_part(
                model, part, variables, key, scale, gradients
            )
            return (
                index + 1,
                tree.map_structure(tf.add, sums, new),
                gradients,
            )

        zero = fresh_zero("float32", tree.flatten(batch[1])[0])
        start = (
            0,
            model.zero_losses(),
            [tf.fill(v.shape, zero) for v in variables or ()],
        )
        if model.micro_batches == 1:
            return add(*start)[1:]
        return tf.while_loop(
            lambda index, *_: index < model.micro_batches,
            add,
            start,
            maximum_iterations=model.micro_batches,
            parallel_iterations=1,
        )[1:]

    if model.compiles_step and not on_tpu():
        # The update stays outside: XLA would drop the assertion before it,
        # and has no collectives on some devices.
        accumulate = tf.function(accumulate, jit_compile=True, autograph=False)
    with cudnn.allowed(not model.compiles_step):
        return accumulate(batch, key, scale)


def _split(x, num_parts):
    """Rows (B, ...) as (num_parts, rows of a part, ...), filled up with zeros.

    A row of zeros has the weight 0. There is one at least, as some operations
    do not take empty batches.
    """
    static = x.shape[0]
    num_rows = tf.shape(x)[0] if static is None else static
    size = -(-num_rows // num_parts)
    size = tf.maximum(size, 1) if static is None else max(size, 1)
    missing = num_parts * size - num_rows
    if static is None or missing:
        x = tf.pad(x, [[0, missing]] + [[0, 0]] * (x.shape.rank - 1))
    widths = tf.shape(x)[1:] if None in x.shape[1:] else x.shape[1:]
    return tf.reshape(x, tf.concat([[num_parts, size], widths], axis=0))


def _of_part(model, part, variables, key, scale, gradients):
    """Sums of losses over one micro-batch, and `gradients` with its own.

    A tied embedding is read twice, and a tape would add two matrices of its
    size to a third: here both gradients go to their places in the one there
    is, that of the output matrix as it is made.
    """
    if not variables:
        return model.compute_losses(*part, training=False), gradients
    embedding = model.backbone.tied_embedding()
    places = [variable is embedding for variable in variables]
    tied = places.index(True) if any(places) else None
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for variable in variables:
            tape.watch(variable.value)
        sums = model.compute_losses(
            *part,
            training=True,
            dropout_key=key,
            kernel_gradient=None if tied is None else gradients[tied],
        )
        objective = sums["objective"]
        if scale is not None:
            scale = loss_scaling.of_a_sum(scale, part[2])
            objective = objective * scale
    if tied is not None:
        gradients = list(gradients)
        gradients[tied] = sums.pop("kernel_gradient")
    new = tape.gradient(
        objective,
        [variable.value for variable in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return sums, [
        _add(gradient, part, scale)
        for gradient, part in zip(gradients, new, strict=True)
    ]


def _add(total, new, scale):
    """`total` and a gradient, dense or sparse, whose scale is taken off."""
    if isinstance(new, tf.IndexedSlices):
        values = tf.cast(new.values, "float32")
        values = values if scale is None else values / scale
        return tf.tensor_scatter_nd_add(total, new.indices[:, None], values)
    new = tf.cast(new, "float32")
    return total + (new if scale is None else new / scale)


def _all_reduce(sums, gradients):
    """Their sums over all replicas, in one reduction."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return sums, gradients
    total, *gradients = context.all_reduce(
        tf.distribute.ReduceOp.SUM,
        [tf.stack(tree.flatten(sums)), *gradients],
    )
    return tree.pack_sequence_as(sums, tf.unstack(total)), gradients


def _reduced_already(optimizer):
    """`apply` without its own sum over the replicas, which has been made.

    Clipping must see the sum, so that leaving the sum to `apply` is no choice.
    """
    return optimizers.overridden(
        optimizer, "_all_reduce_sum_gradients", lambda pairs: pairs
    )


def _undo_unless(strategy, is_fine, variables, before):
    """Gives variables the values from `before` back, unless all is fine.

    Without a conditional around the update: inside of those, strategies do
    not update (keras issue 20582).
    """

    def choose(variable, old, is_fine):
        variable.assign(tf.where(is_fine, variable, old))

    for variable, old in zip(variables, before, strict=True):
        strategy.extended.update(
            variable.value, choose, args=(old, is_fine), group=False
        )


def _update_loss_scale(strategy, loss_scale, is_fine, is_bad):
    """Halves the scale after an overflow, doubles it after a long peace."""
    is_fine, is_bad = checks.local((is_fine, is_bad), strategy)
    new_scale = loss_scaling.update(loss_scale, is_fine)
    check = checks.assert_finite(
        new_scale >= loss_scaling.LEAST_LOSS_SCALE,
        loss_scale.iterations,
        is_bad,
    )
    with tf.control_dependencies([check]):
        return {"loss_scale": tf.identity(new_scale)}


def on_tpu():
    """Whether the present strategy's replicas are a TPU's."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)
