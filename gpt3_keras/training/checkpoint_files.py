"""What one checkpoint holds: model, random state, optimizer and state."""

import json

from gpt3_keras.training import files
from gpt3_keras.training import model_files
from gpt3_keras.training import tensor_file

MODEL = "model"
RANDOM = "random.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"

# What HDF5 adds to an array at most; about 2,100 were measured.
_OVERHEAD_BYTES = 4096
# How many differences a message names.
_MAX_DIFFERENCES = 5


def check_state(state):
    """Raises unless JSON gives back what `state` is."""
    try:
        is_kept = json.loads(json.dumps(state, allow_nan=False)) == state
    except (TypeError, ValueError):
        is_kept = False
    if not is_kept or not isinstance(state, dict):
        raise ValueError(
            "state must be a dict of plain JSON: strings, finite numbers, "
            "lists and dicts with strings for keys. Received: "
            f"state={state!r}."
        )


def check_built(optimizer):
    """Raises for an optimizer whose variables are not there yet."""
    if optimizer is not None and not optimizer.built:
        raise ValueError(
            "optimizer must be built: optimizer.build(trainable_variables). "
            f"Received: optimizer={_kind(optimizer)}, not built."
        )


def write(folder, model, optimizer, state):
    """Makes `folder` with everything in it, and brings it to the disk."""
    folder.mkdir()
    variables = [] if optimizer is None else optimizer.variables
    everything = [*getattr(model, "variables", ()), *variables]
    files.reserve(
        folder,
        tensor_file.num_bytes(everything) + len(everything) * _OVERHEAD_BYTES,
    )
    model.save_to_preset(str(folder / MODEL))
    tensor_file.save(folder / RANDOM, model_files.random_state(model), {})
    if optimizer is not None:
        metadata = {"optimizer": _kind(optimizer)}
        tensor_file.save(folder / OPTIMIZER, variables, metadata)
    files.write_json(folder / STATE, state)
    files.seal(folder)


def read_state(folder):
    """The training's own state."""
    return json.loads((folder / STATE).read_text("utf-8"))


def load(folder, model, optimizer):
    """Reads a checkpoint that is whole into a model and an optimizer.

    Raises:
        ValueError: if it is of others; both are as they were.
    """
    differences = model_files.find_differences(folder / MODEL, model)
    random = tensor_file.TensorFile(folder / RANDOM)
    random_state = model_files.random_state(model)
    moments = None
    if optimizer is not None and (folder / OPTIMIZER).exists():
        moments = tensor_file.TensorFile(folder / OPTIMIZER)
    # With another model, all the rest differs too.
    differences = differences or _named("random", random, random_state)
    if optimizer is not None and not differences:
        differences = _optimizer_differences(moments, optimizer)
    if differences:
        shown = "; ".join(differences[:_MAX_DIFFERENCES])
        if len(differences) > _MAX_DIFFERENCES:
            shown += f"; and {len(differences) - _MAX_DIFFERENCES} more"
        raise ValueError(f"The checkpoint {folder} does not fit: {shown}.")
    model_files.load(folder / MODEL, model)
    random.assign_to(random_state)
    if moments is not None:
        moments.assign_to(optimizer.variables)


def _optimizer_differences(saved, optimizer):
    kind = "none" if saved is None else saved.metadata["optimizer"]
    if kind != _kind(optimizer):
        here = _kind(optimizer)
        return [f"optimizer: {kind} in the checkpoint, {here} here"]
    return _named("optimizer", saved, optimizer.variables)


def _named(name, saved, variables):
    return [f"{name}.{x}" for x in saved.find_differences(variables)]


def _kind(optimizer):
    """The optimizer's class, and whose gradients it scales.

    `"AdamW"`, or `"LossScaleOptimizer(AdamW)"`.
    """
    name = type(optimizer).__name__
    inner = getattr(optimizer, "inner_optimizer", None)
    return name if inner is None else f"{name}({_kind(inner)})"
