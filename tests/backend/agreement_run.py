"""What every backend computes alike: run in one process for each of them.

    KERAS_BACKEND=jax python -m tests.backend.agreement_run FOLDER NAME...

writes FOLDER/jax.npz and the checkpoint FOLDER/jax, and goes on from the
checkpoints of the other backends that are named.
"""

import contextlib
import functools
import os
import pathlib
import sys
from unittest import mock

import keras
import numpy as np
from keras import ops

from gpt3_keras import backend
from gpt3_keras.layers import rematerialization
from gpt3_keras.models import dialogue_objective
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.training.checkpoints import CheckpointStore
from tests import sweep
from tests.models import small_dialogues

VOCABULARY = 61
LENGTH = 12
ROWS = 6
NUM_STEPS = 20


def batch():
    """Rows of several lengths that repeat themselves; (x, y, weights)."""
    rng = np.random.default_rng(0)
    half = rng.integers(1, VOCABULARY, (ROWS, LENGTH // 2 + 1))
    ids = np.concatenate([half, half], axis=1)[:, : LENGTH + 1]
    lengths = np.array([12, 12, 9, 5, 1, 7])[:, None]
    mask = np.arange(LENGTH) < lengths
    x = {
        "token_ids": np.where(mask, ids[:, :-1], 0).astype("int32"),
        "padding_mask": mask,
    }
    return x, ids[:, 1:].astype("int32"), mask.astype("float32")


def make_model(rnn="gru", dropout=0.2, dtype="float32"):
    """A tiny model whose weights are the same on every backend."""
    model = GPT3CausalLM(
        GPT3Backbone(
            vocabulary_size=VOCABULARY,
            num_heads=2,
            hidden_dim=16,
            max_sequence_length=32,
            rnn=rnn,
            pointer_hidden_dims=(8, 8),
            dropout=dropout,
            dtype=dtype,
        )
    )
    rng = np.random.default_rng(1)
    for weight in model.weights:
        value = ops.convert_to_numpy(weight)
        noise = 0.3 * rng.standard_normal(value.shape)
        weight.assign((1.0 * (value == 1) + noise).astype("float32"))
    return model


def fit(model, num_steps, **compiled):
    """The losses of some steps on the one batch."""
    model.compile(seed=7, **compiled)
    x, y, weights = batch()
    history = model.fit(
        x,
        y,
        sample_weight=weights,
        batch_size=ROWS,
        epochs=num_steps,
        shuffle=False,
        verbose=0,
    )
    return np.array(history.history["loss"])


def values(model):
    return {w.path: ops.convert_to_numpy(w) for w in model.weights}


def gradients(rnn, is_rematerialised=False):
    """The objective's gradient: what a step of plain descent takes away."""
    scope = rematerialization.scope(num_layers=1)
    with scope if is_rematerialised else contextlib.nullcontext():
        model = make_model(rnn)
    before = values(model)
    losses = fit(model, 1, optimizer=keras.optimizers.SGD(1.0))
    return {f"{rnn}/loss": losses, **taken_away(rnn, before, model)}


def fused_gradients(rnn):
    """The same on PyTorch as on a GPU, by the operation that is cuDNN's there.

    A CPU has it, too.
    """
    from gpt3_keras.backend.torch import cudnn

    with mock.patch.object(
        backend,
        "fused_recurrence",
        lambda cell: functools.partial(cudnn.states, cell),
    ):
        found = gradients(rnn)
    return {f"fused/{name}": value for name, value in found.items()}


def taken_away(name, before, model):
    """What the weights have lost since `before`, by path."""
    return {
        f"{name}/gradient/{path}": before[path] - value
        for path, value in values(model).items()
    }


@functools.cache
def _trained(num_parts):
    """A model after some steps, compiled once for all that follows; losses."""
    model = make_model()
    optimizer = keras.optimizers.AdamW(1e-2, global_clipnorm=1.0)
    losses = fit(model, NUM_STEPS, optimizer=optimizer, micro_batches=num_parts)
    return model, losses


def training(name):
    """Losses and weights after some steps, in one part and in three.

    In three on PyTorch alone by default: other tests cut the batches of the
    other two.
    """
    found = {}
    for num_parts in (1, 3) if sweep.IS_ON or name == "torch" else (1,):
        model, found[f"{num_parts}/losses"] = _trained(num_parts)
        for path, value in values(model).items():
            found[f"{num_parts}/weights/{path}"] = value
    return found


def reading():
    """What a model says of given rows, and what it writes."""
    model = make_model()
    x, y, weights = batch()
    evaluated = model.evaluate(
        x, y, sample_weight=weights, verbose=0, return_dict=True
    )
    prompts = [[1, 2, 3], [5, 6], [9, 8, 7, 6, 5]]
    model.compile(sampler="greedy")
    written = model.generate(prompts, max_new_tokens=8, stop_token_ids=None)
    return {
        "evaluated": np.array([evaluated[k] for k in sorted(evaluated)[:-1]]),
        "log_probs": ops.convert_to_numpy(model(x)),
        "score": model.score(prompts)["log_prob"],
        "written": written["token_ids"],
    }


def half_precision():
    """Losses of some steps in float16, its scale managed by the optimizer."""
    model = make_model(dtype="mixed_float16")
    losses = fit(model, 4, optimizer=keras.optimizers.AdamW(1e-2))
    return {"half/losses": losses}


def dialogues():
    """The loss and the gradient of a batch of dialogues, every term on."""
    model = small_dialogues.model(dropout=0.2, word_dropout=0.2)
    model.compile(
        optimizer=keras.optimizers.SGD(1.0),
        seed=7,
        label_smoothing=0.1,
        loss_weights=dict.fromkeys(dialogue_objective.TERMS, 0.5),
    )
    before = values(model)
    history = model.fit(
        small_dialogues.dataset([small_dialogues.batch(4, 1, 3)]),
        shuffle=False,
        verbose=0,
    )
    losses = np.array(history.history["loss"])
    changes = taken_away("dialogues", before, model)
    return {"dialogues/loss": losses, **changes}


def save(folder, name):
    """Saves a trained model, and goes on for two steps."""
    model, _ = _trained(1)
    store = CheckpointStore(pathlib.Path(folder) / name, keep=1)
    store.save(NUM_STEPS, model, model.optimizer, {"step": NUM_STEPS})
    return {"next_loss": _next_loss(model)}


def resume(folder, name):
    """The next steps' losses from another backend's checkpoint."""
    model, _ = _trained(1)
    store = CheckpointStore(pathlib.Path(folder) / name, keep=1)
    store.restore(NUM_STEPS, model, model.optimizer)
    return {f"resumed/{name}": _next_loss(model)}


def _next_loss(model):
    """Of two more steps: the second one's needs the first one's update."""
    x, y, weights = batch()
    history = model.fit(
        x,
        y,
        sample_weight=weights,
        batch_size=ROWS,
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    return np.array(history.history["loss"])


def run(folder, others):
    """All of it; writes the figures and returns them."""
    name = os.environ.get("KERAS_BACKEND", "tensorflow")
    found = {
        **gradients("gru"),
        # The others' as if memory were short: it changes nothing.
        **gradients("lstm", is_rematerialised=name != "tensorflow"),
        **training(name),
        **reading(),
        **dialogues(),
        **(half_precision() if sweep.IS_ON else {}),
        **(fused_gradients("gru") if name == "torch" else {}),
        **(fused_gradients("lstm") if name == "torch" else {}),
        **save(folder, name),
    }
    for other in others:
        found.update(resume(folder, other))
    np.savez(pathlib.Path(folder) / f"{name}.npz", **found)
    return found


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
