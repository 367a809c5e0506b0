"""A model and its optimizer come back from a checkpoint bit by bit."""

import contextlib
import errno
import os
import pathlib
import re
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor
from gpt3_keras.models.tokenizer import GPT3Tokenizer
from gpt3_keras.training import files
from gpt3_keras.training import model_files
from gpt3_keras.training.checkpoints import CheckpointStore
from tests.models import small

ROOT = pathlib.Path(__file__).resolve().parents[2]

OPTIMIZERS = {
    "adam_w": lambda: keras.optimizers.AdamW(1e-3),
    "adam_w_schedule": lambda: keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(1e-3, 100)
    ),
    "sgd_momentum": lambda: keras.optimizers.SGD(1e-2, momentum=0.9),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.AdamW(1e-3)
    ),
}


def optimizer_for(model, name="adam_w"):
    optimizer = OPTIMIZERS[name]()
    optimizer.build(model.trainable_variables)
    return optimizer


def scramble(variables, seed):
    """Gives variables random bits, but for those that are no numbers."""
    generator = np.random.default_rng(seed)
    for variable in variables:
        dtype = np.dtype(keras.backend.standardize_dtype(variable.dtype))
        if "int" in dtype.name:
            value = generator.integers(1, 2**31, variable.shape)
        else:
            value = generator.normal(size=variable.shape)
        variable.assign(np.asarray(value).astype(dtype))


def bits(variables):
    arrays = [keras.ops.convert_to_numpy(x) for x in variables]
    return [(x.dtype.name, x.shape, x.tobytes()) for x in arrays]


def everything(model, optimizer):
    return [*model.variables, *optimizer.variables]


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", keep=2)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((name, {}) for name in OPTIMIZERS),
        ("adam_w", {"dtype": "bfloat16"}),
        ("adam_w", {"dtype": "float16"}),
        ("loss_scale", {"dtype": "mixed_float16"}),
        ("adam_w", small.OTHER_CHOICES),
    ],
)
def test_every_bit_comes_back(store, name, arguments):
    model = small.text_model(dropout=0.1, **arguments)
    optimizer = optimizer_for(model, name)
    scramble(everything(model, optimizer), seed=1)
    saved = bits(everything(model, optimizer))
    state = {"step": 3, "phase": "encoder", "losses": [0.1, None]}
    store.save(3, model, optimizer, state)

    other = small.text_model(dropout=0.1, **arguments)
    other_optimizer = optimizer_for(other, name)
    scramble(everything(other, other_optimizer), seed=2)
    assert store.restore(3, other, other_optimizer) == state
    assert bits(everything(other, other_optimizer)) == saved
    assert len(saved) > 40


def test_random_state_comes_back(store):
    """The weights' file has none of the seed generators' states."""
    model = small.model(dropout=0.5)
    (seed, *_) = model_files.random_state(model)
    seed.assign(np.array([5, 6], "int64"))
    store.save(1, model, None, {})
    seed.assign(np.array([7, 8], "int64"))
    store.restore(1, model, None)
    assert keras.ops.convert_to_numpy(seed).tolist() == [5, 6]


def test_a_preset_is_in_it(store):
    model = small.text_model()
    store.save(1, model, None, {})
    loaded = GPT3CausalLM.from_preset(str(store.model_folder(1)))
    assert bits(loaded.weights) == bits(model.weights)
    fingerprint = model.preprocessor.tokenizer.fingerprint()
    assert loaded.preprocessor.tokenizer.fingerprint() == fingerprint


def test_precision_dropout_and_frozen_layers_may_change(store):
    model = small.model(dropout=0.1)
    store.save(1, model, None, {})
    other = small.model(dropout=0.3, dtype="mixed_bfloat16", name="other")
    other.backbone.encoder.trainable = False
    store.restore(1, other, None)
    assert bits(other.weights) == bits(model.weights)


def test_a_checkpoint_without_optimizer_gives_the_model(store):
    model = small.model()
    optimizer = optimizer_for(model)
    saved = bits(model.weights)
    store.save(1, model, None, {})
    scramble(model.weights, seed=1)
    with pytest.raises(ValueError, match="optimizer: none in the checkpoint, "):
        store.restore(1, model, optimizer)
    store.restore(1, model, None)
    assert bits(model.weights) == saved


def test_weights_in_several_files_are_read(store):
    model = small.model()
    saved = bits(model.weights)

    class Sharded:
        variables = model.variables
        weights = model.weights

        def save_to_preset(self, folder):
            model.save_to_preset(folder, max_shard_size=1e-6)

    store.save(1, Sharded(), None, {})
    assert len(list(store.model_folder(1).glob("*.h5"))) > 1
    scramble(model.weights, seed=1)
    store.restore(1, model, None)
    assert bits(model.weights) == saved


def refused(store, model, optimizer, difference):
    """Asserts that nothing is read, and that the reason is given."""
    scramble(model.variables, seed=1)
    variables = list(model.variables)
    if optimizer is not None:
        scramble(optimizer.variables, seed=2)
        variables += optimizer.variables
    before = bits(variables)
    message = (
        f"The checkpoint {store.folder / '00000001'} does not fit: {difference}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        store.restore(1, model, optimizer)
    assert bits(variables) == before


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        ({"hidden_dim": 16}, "hidden_dim: 8 in the checkpoint, 16 here."),
        ({"num_layers": 2}, "num_layers: 1 in the checkpoint, 2 here."),
        ({"num_heads": 4}, "num_heads: 2 in the checkpoint, 4 here."),
        ({"rnn": "lstm"}, "rnn: gru in the checkpoint, lstm here."),
        (
            {"vocabulary_size": 31, "max_sequence_length": 20},
            "vocabulary_size: 30 in the checkpoint, 31 here; "
            "backbone.max_sequence_length: 16 in the checkpoint, 20 here.",
        ),
        (
            {"pointer_hidden_dims": (6, 11)},
            "pointer_hidden_dims: [6, 10] in the checkpoint, [6, 11] here.",
        ),
        (
            {"share_pointer_parameters": True},
            "share_pointer_parameters: False in the checkpoint, True here.",
        ),
    ],
)
def test_another_architecture_is_refused(store, arguments, difference):
    model = small.model()
    store.save(1, model, optimizer_for(model), {})
    other = small.model(**arguments)
    refused(store, other, None, f"backbone.{difference}")
    refused(store, other, optimizer_for(other), f"backbone.{difference}")


def test_weights_of_another_dtype_are_refused(store):
    store.save(1, small.model(), None, {})
    other = small.model(dtype="bfloat16")
    refused(store, other, None, "arrays of bfloat16 (1): 0 in the checkpoint, ")


def test_other_weights_of_one_config_are_refused(store):
    """Such as another version's: nothing is half-loaded."""
    path = store.save(1, small.model(), None, {})
    with h5py.File(path / "model" / "model.weights.h5", "a") as file:
        file["layers/encoder/vars/0"] = np.zeros((3, 5), "float32")
    (path / files.CHECKSUMS).unlink()
    files.seal(path)
    difference = "arrays of float32 (3, 5): 1 in the checkpoint, 0 here"
    refused(store, small.model(), None, difference)


def test_another_vocabulary_of_the_same_size_is_refused(store):
    model = small.text_model()
    store.save(1, model, None, {})
    tokens = model.preprocessor.tokenizer.get_vocabulary()
    merges = model.preprocessor.tokenizer.merges
    tokens[2], tokens[3] = tokens[3], tokens[2]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = GPT3Tokenizer(vocabulary=vocabulary, merges=merges)
    other = GPT3CausalLM(model.backbone, GPT3CausalLMPreprocessor(tokenizer, 8))
    saved, here = (
        x.preprocessor.tokenizer.fingerprint()[:12] for x in (model, other)
    )
    difference = f"tokenizer: {saved} in the checkpoint, {here} here."
    refused(store, other, None, difference)


def test_another_kind_of_optimizer_is_refused(store):
    model = small.model()
    store.save(1, model, optimizer_for(model, "loss_scale"), {})
    kinds = {"adam_w": "AdamW", "sgd_momentum": "SGD"}
    for name, kind in kinds.items():
        refused(
            store,
            model,
            optimizer_for(model, name),
            f"optimizer: LossScaleOptimizer(AdamW) in the checkpoint, {kind} "
            "here.",
        )


def test_an_optimizer_of_other_weights_is_refused(store):
    model = small.model()
    store.save(1, model, optimizer_for(model), {})
    model.backbone.encoder.trainable = False
    num_saved = len(optimizer_for(small.model()).variables)
    optimizer = optimizer_for(model)
    refused(
        store,
        model,
        optimizer,
        f"optimizer.variables: {num_saved} in the checkpoint, "
        f"{len(optimizer.variables)} here.",
    )


def test_an_optimizer_of_weights_in_another_order_is_refused(store):
    model = small.model()
    store.save(1, model, optimizer_for(model), {})
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.build(model.trainable_variables[::-1])
    with pytest.raises(ValueError, match=r"does not fit: .* and \d+ more\.$"):
        store.restore(1, model, optimizer)
    refused(store, model, optimizer, "optimizer.")


def test_an_optimizer_must_be_built(store):
    model = small.model()
    optimizer = keras.optimizers.AdamW(1e-3)
    message = "optimizer must be built: .* Received: optimizer=AdamW, not built"
    with pytest.raises(ValueError, match=message):
        store.save(1, model, optimizer, {})
    assert not store.folder.exists()
    store.save(1, model, None, {})
    with pytest.raises(ValueError, match=message):
        store.restore(1, model, optimizer)


def test_a_damaged_checkpoint_changes_nothing(store):
    model = small.model()
    optimizer = optimizer_for(model)
    path = store.save(1, model, optimizer, {}) / "optimizer.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    before = bits(everything(model, optimizer))
    scramble([model.weights[0]], seed=1)
    scrambled = bits(everything(model, optimizer))
    with pytest.raises(ValueError, match=r"optimizer\.safetensors is not what"):
        store.restore(1, model, optimizer)
    assert bits(everything(model, optimizer)) == scrambled != before


@pytest.mark.parametrize("arguments", [{}, small.OTHER_CHOICES])
def test_room_is_made_for_all_that_hdf5_writes(store, arguments, monkeypatch):
    model = small.model(**arguments)
    optimizer = optimizer_for(model)
    reserved = []
    monkeypatch.setattr(files, "reserve", lambda _, size: reserved.append(size))
    path = store.save(1, model, optimizer, {})
    sizes = [x.stat().st_size for x in path.rglob("*") if x.is_file()]
    assert sum(sizes) < reserved[0] < 10 * sum(sizes)


@contextlib.contextmanager
def small_disk(folder):
    """A disk of its own on `folder`; gives a function that sets its size."""

    def mount(*arguments):
        command = ["mount", *arguments, str(folder)]
        return subprocess.run(command, capture_output=True, check=False)

    folder.mkdir()
    if os.geteuid() or mount("-t", "tmpfs", "-o", "size=8m", "x").returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield lambda size: mount("-o", f"remount,size={size}")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    model = small.text_model()
    optimizer = optimizer_for(model)
    with small_disk(tmp_path / "disk") as resize:
        store = CheckpointStore(tmp_path / "disk" / "checkpoints", keep=1)
        path = store.save(1, model, optimizer, {"step": 1})
        size = sum(x.stat().st_blocks * 512 for x in path.rglob("*"))
        used = os.statvfs(path)
        used = (used.f_blocks - used.f_bfree) * used.f_frsize
        for room in range(0, size, max(size // 20, 4096)):
            resize(used + room)
            with pytest.raises(OSError, match="Cannot save") as caught:
                store.save(2, model, optimizer, {"step": 2})
            assert str(caught.value) == (
                f"Cannot save the checkpoint {store.folder / '00000002'}: No "
                "space left on device; the checkpoint of step 1 stays usable."
            )
            assert caught.value.errno == errno.ENOSPC
            assert os.listdir(store.folder) == ["00000001"]
            store.verify(1)
        resize("8m")
        store.save(2, model, optimizer, {"step": 2})
        assert store.restore(2, model, optimizer) == {"step": 2}


REPLICAS = """
import sys
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from gpt3_keras.training.checkpoints import CheckpointStore
from tests.models import small
from tests.training import checkpoint_files_test as test

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def make(seed):
    with strategy.scope():
        model = small.model()
        optimizer = test.optimizer_for(model, "loss_scale")
    test.scramble(test.everything(model, optimizer), seed)
    return model, optimizer

def replicas(model, optimizer):
    local = strategy.experimental_local_results
    return [
        [value.numpy().tobytes() for value in local(variable.value)]
        for variable in test.everything(model, optimizer)
    ]

store = CheckpointStore(sys.argv[1], keep=1)
saved = make(1)
store.save(1, *saved, {})
inside, outside = make(2), make(3)
with strategy.scope():
    store.restore(1, *inside)
store.restore(1, *outside)
expected = replicas(*saved)
for found in (replicas(*inside), replicas(*outside)):
    assert found == expected
assert sum(len(values) == 2 for values in expected) > 40
assert all(len({*values}) == 1 for values in expected)
print("replicas agree")
"""


@pytest.mark.slow
def test_every_replica_is_restored(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", REPLICAS, str(tmp_path / "checkpoints")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "replicas agree" in result.stdout
