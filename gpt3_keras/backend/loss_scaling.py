"""The scale of a float16 loss: how it goes into a sum, and how it moves."""

import math

from keras import ops

# A float16 scale that has come down so far was not the reason.
LEAST_LOSS_SCALE = 2.0**-14


def unwrap(optimizer):
    """The optimizer, and the `LossScaleOptimizer` around it or None."""
    inner = getattr(optimizer, "inner_optimizer", None)
    return (optimizer, None) if inner is None else (inner, optimizer)


def of_a_sum(scale, weights):
    """The scale that a sum over tokens takes, where `scale` is for a mean.

    Powers of two change no digit.

    Args:
        scale: float32 scalar.
        weights: (B, T), the tokens that are summed over.
    """
    shape = ops.shape(weights)
    num_tokens = math.prod(shape) if _is_known(shape) else ops.size(weights)
    log2 = ops.log2(ops.cast(num_tokens, "float32"))
    return scale * ops.power(2.0, -ops.ceil(log2))


def _is_known(shape):
    return all(isinstance(size, int) for size in shape)


def update(loss_scale, is_fine):
    """Halves the scale after an overflow, doubles it after a long peace.

    Args:
        loss_scale: a Keras `LossScaleOptimizer`.
        is_fine: bool scalar, whether the step was finite.

    Returns:
        The new scale, float32.
    """
    scale = ops.convert_to_tensor(loss_scale.dynamic_scale)
    num_steps = ops.convert_to_tensor(loss_scale.step_counter) + 1
    is_long = num_steps >= loss_scale.dynamic_growth_steps
    grows = ops.logical_and(is_fine, is_long)
    factor = ops.where(is_fine, ops.where(grows, 2.0, 1.0), 0.5)
    new_scale = scale * factor
    goes_on = ops.logical_and(is_fine, ops.logical_not(grows))
    loss_scale.dynamic_scale.assign(new_scale)
    loss_scale.step_counter.assign(
        ops.where(goes_on, num_steps, ops.zeros_like(num_steps))
    )
    return new_scale
