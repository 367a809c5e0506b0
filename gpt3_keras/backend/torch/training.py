"""The PyTorch train step, eager, on one device."""

import torch
from keras import ops
from keras import tree

from gpt3_keras.backend import errors
from gpt3_keras.backend import loss_scaling


def step_function(model, step):
    """What `fit` and `evaluate` call with a list of batches.

    Args:
        model: a `GPT3CausalLM`.
        step: its `train_step` or `test_step`.

    Returns:
        A function to the logs of the last of the batches. It raises
        `NotFiniteError`; no weight has changed then.
    """
    del model

    def function(batches):
        for data in batches:
            logs = step(data)
        return logs

    return function


def train_step(model, data):
    """One update from one batch, whatever it has been cut into.

    Args:
        model: a compiled `GPT3CausalLM`. Its `micro_batches` says into how
            many parts the rows are cut; memory is that of a part.
        data: the batch, as `data/batch.py` defines it.

    Returns:
        What `model.record` makes of the sums over the batch, see
        `GPT3CausalLM.compute_losses`, and of `"gradient_norm"`.

    Raises:
        NotFiniteError: of a loss or a gradient that is no number.
    """
    optimizer, loss_scale = loss_scaling.unwrap(model.optimizer)
    variables = model.trainable_variables
    for variable in variables:
        variable.value.grad = None
    key = model.dropout_key()
    parts = _parts(model, data)
    scale = 1.0
    if loss_scale is not None:
        scale = ops.convert_to_tensor(loss_scale.dynamic_scale)
        scale = loss_scaling.of_a_sum(scale, parts[0][2])
    sums = model.zero_losses()
    for part in parts:
        new = model.compute_losses(*part, training=True, dropout_key=key)
        (new["objective"] * scale).backward()
        new = tree.map_structure(lambda x: x.detach(), new)
        sums = tree.map_structure(torch.add, sums, new)
    with torch.no_grad():
        divisor = torch.clamp(sums["num_targets"], min=1.0) * scale
        gradients = [_gradient(variable) / divisor for variable in variables]
        norms = torch.stack([torch.linalg.norm(g) for g in gradients])
        flat = torch.stack(tree.flatten(sums))
        is_bad = ~torch.isfinite(torch.cat([flat, norms]))
        is_fine = not is_bad.any()
        if is_fine:
            optimizer.apply(gradients, variables)
        report = {"gradient_norm": torch.linalg.norm(norms)}
        if loss_scale is not None:
            report["loss_scale"] = loss_scaling.update(
                loss_scale, torch.tensor(is_fine)
            )
        _check(model, loss_scale, is_fine, is_bad)
        if not is_fine:
            sums = tree.map_structure(torch.zeros_like, sums)
        return {**model.record(sums), **report}


@torch.no_grad()
def test_step(model, data):
    """As `train_step`, without an update."""
    sums = model.zero_losses()
    for part in _parts(model, data):
        new = model.compute_losses(*part, training=False)
        sums = tree.map_structure(torch.add, sums, new)
    return model.record(sums)


def _parts(model, data):
    """A list of micro-batches; none of them is empty."""
    batch = tree.map_structure(ops.convert_to_tensor, model.unpack(data))
    num_rows = len(batch[2])
    size = -(-num_rows // model.micro_batches)
    return [
        tree.map_structure(lambda x, i=i: x[i : i + size], batch)
        for i in range(0, num_rows, size)
    ]


def _gradient(variable):
    """A variable's gradient in float32, zeros where there is none."""
    gradient = variable.value.grad
    if gradient is None:
        return torch.zeros_like(variable.value, dtype=torch.float32)
    return gradient.to(torch.float32)


def _check(model, loss_scale, is_fine, is_bad):
    """Raises for numbers that are none, unless a smaller scale may help."""
    least = loss_scaling.LEAST_LOSS_SCALE
    if is_fine or (
        loss_scale is not None and float(loss_scale.dynamic_scale) >= least
    ):
        return
    step = int(model.optimizer.iterations) + 1
    raise errors.not_finite(model, step, is_bad.tolist())
