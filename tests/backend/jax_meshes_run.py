"""Trains on JAX over meshes of eight virtual devices of one processor.

    KERAS_BACKEND=jax python -m tests.backend.jax_meshes_run FILE MESH...

writes what it found as JSON, without a mesh ("off") and on those named.
"""

import json
import re
import sys

import jax
import keras
import numpy as np

from gpt3_keras.config_training import RuntimeConfig
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.training import layout
from gpt3_keras.training import strategies
from tests import sweep
from tests.backend.jax_program import step_program

VOCABULARY = 64
ROWS, LENGTH = 8, 10
NUM_STEPS = 20
MESHES = {"off": None, "8x1": [8, 1], "4x2": [4, 2], "2x4": [2, 4]}


def batch():
    rng = np.random.default_rng(0)
    ids = rng.integers(1, VOCABULARY, (ROWS, LENGTH + 1)).astype("int32")
    mask = np.arange(LENGTH) < rng.integers(3, LENGTH + 1, (ROWS, 1))
    x = {"token_ids": np.where(mask, ids[:, :-1], 0), "padding_mask": mask}
    return x, ids[:, 1:], mask.astype("float32")


def make_model(rnn="gru"):
    model = GPT3CausalLM(
        GPT3Backbone(
            vocabulary_size=VOCABULARY,
            num_heads=4,
            hidden_dim=16,
            max_sequence_length=16,
            rnn=rnn,
            pointer_hidden_dims=(8, 8),
            dropout=0.1,
        )
    )
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(0.3 * rng.standard_normal(weight.shape))
    return model


def train(model, num_parts):
    x, y, weights = batch()
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-2, global_clipnorm=1.0),
        micro_batches=num_parts,
        seed=3,
    )
    history = model.fit(
        x,
        y,
        sample_weight=weights,
        batch_size=ROWS,
        epochs=NUM_STEPS,
        shuffle=False,
        verbose=0,
    )
    # Seven rows fit no mesh.
    rows = slice(7)
    x = {name: value[rows] for name, value in x.items()}
    evaluated = model.evaluate(
        x, y[rows], sample_weight=weights[rows], verbose=0, return_dict=True
    )
    return {
        "losses": history.history["loss"],
        "evaluated": evaluated["loss"],
        "weights": {
            w.path: np.asarray(w.value).tolist() for w in model.weights
        },
    }


def shardings(model):
    """For each weight and moment, its axes and how much a device holds."""
    found = {}
    for variable in (*model.weights, *model.optimizer.variables):
        value = variable.value
        (first, *_) = value.addressable_shards
        found[variable.path] = {
            "rule": layout.rule_of(variable.path),
            "axes": [*getattr(value.sharding, "spec", ())],
            "share": first.data.size / max(value.size, 1),
        }
    return found


def gathered(model):
    """The shapes that the compiled step gathers from several devices."""
    hlo = step_program(model, batch())
    return re.findall(r"= \w+\[([\d,]*)\][^ ]* all-gather(?:-start)?\(", hlo)


def main(path, *names):
    jax.config.update("jax_num_cpu_devices", 8)
    found = {}
    parts_of_one_device = (1, 2) if sweep.IS_ON else (1,)
    for name in ("off", *names):
        mesh = MESHES[name]
        runtime = {"strategy": "off"}
        if mesh is not None:
            runtime = {"strategy": "model_parallel", "mesh": mesh}
        if name == "8x1":
            runtime = {"strategy": "mirrored", "num_devices": 8}
        strategy = strategies.make_strategy(RuntimeConfig(**runtime))
        keras.distribution.set_distribution(strategy.distribution)
        found[name] = {}
        for num_parts in parts_of_one_device if mesh is None else (2,):
            model = make_model()
            found[name][str(num_parts)] = train(model, num_parts)
        if mesh is not None:
            found[name]["shardings"] = shardings(model)
            found[name]["gathered"] = gathered(model)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
