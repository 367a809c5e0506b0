"""A model's KerasHub preset, read into a model that there is already."""

import collections
import json

import h5py
import keras

# What may differ between a checkpoint and the model that it is loaded into.
# Precision is compared by the dtype of the weights.
_FREE = ("name", "trainable", "dtype", "dropout", "max_parameters")


def find_differences(folder, model):
    """In words, why the preset's weights are not those of `model`.

    Args:
        folder: path of the preset.
        model: a KerasHub task, such as a `GPT3CausalLM`.

    Returns:
        A list of strings, empty if the weights fit.
    """
    saved = json.loads((folder / "config.json").read_text("utf-8"))
    # As JSON has it, with lists in the place of tuples.
    here = json.loads(
        json.dumps(keras.saving.serialize_keras_object(model.backbone))
    )
    if saved["class_name"] != here["class_name"]:
        return [_differ("backbone", saved["class_name"], here["class_name"])]
    configs = saved["config"], here["config"]
    differences = [
        _differ(f"backbone.{key}", configs[0][key], configs[1][key])
        for key in configs[0]
        if key in configs[1]
        and key not in _FREE
        and configs[0][key] != configs[1][key]
    ]
    if not differences:
        differences = _tokenizer_differences(folder, model)
    return differences or _weight_differences(folder, model)


def load(folder, model):
    """Reads the weights into `model`; see `find_differences`."""
    weights = folder / "model.weights.h5"
    if not weights.exists():  # A large model's weights are in several files.
        weights = folder / "model.weights.json"
    model.backbone.load_weights(weights)
    heads = folder / "task.weights.h5"
    if heads.exists():
        model.load_task_weights(heads)


def random_state(model):
    """The states of the model's seed generators, which are no weights."""
    weights = {id(weight) for weight in getattr(model, "weights", ())}
    variables = getattr(model, "variables", ())
    return [x for x in variables if id(x) not in weights]


def _tokenizer_differences(folder, model):
    """Equal ids of another vocabulary would be other words."""
    tokenizer = getattr(model.preprocessor, "tokenizer", None)
    if tokenizer is None or not (folder / "tokenizer.json").exists():
        return []
    saved = type(tokenizer).from_preset(str(folder)).fingerprint()
    if saved == tokenizer.fingerprint():
        return []
    return [_differ("tokenizer", saved[:12], tokenizer.fingerprint()[:12])]


def _weight_differences(folder, model):
    """Compares how many arrays of each shape and dtype there are."""
    saved = collections.Counter()

    def count(_, item):
        if isinstance(item, h5py.Dataset):
            # HDF5 has no bfloat16: Keras notes it beside the bytes.
            dtype = item.attrs.get("dtype", item.dtype.name)
            saved[_form(dtype, item.shape)] += 1

    for path in folder.glob("*.weights.h5"):
        with h5py.File(path, "r") as file:
            file.visititems(count)
    here = collections.Counter(_form(w.dtype, w.shape) for w in model.weights)
    return [
        _differ(f"arrays of {form}", saved[form], here[form])
        for form in sorted(saved | here)
        if saved[form] != here[form]
    ]


def _form(dtype, shape):
    return f"{dtype} ({', '.join(map(str, shape))})"


def _differ(name, saved, here):
    return f"{name}: {saved} in the checkpoint, {here} here"
