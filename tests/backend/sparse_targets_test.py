"""Positions that do not count: leaving them out changes no number."""

import keras
import numpy as np
import pytest

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM

VOCABULARY_SIZE = 19


def make_model(**options):
    keras.utils.set_random_seed(3)
    model = GPT3CausalLM(
        GPT3Backbone(
            vocabulary_size=VOCABULARY_SIZE,
            num_heads=2,
            hidden_dim=8,
            max_sequence_length=10,
            pointer_hidden_dims=(4, 4),
            dropout=0.2,
        )
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss_weights={"generator": 0.3},
        seed=5,
        **options,
    )
    return model


def make_batch(share):
    rng = np.random.default_rng(0)
    ids = rng.integers(1, VOCABULARY_SIZE, (6, 11)).astype("int32")
    weights = rng.random((6, 10)).astype("float32")
    weights[rng.random((6, 10)) >= share] = 0.0
    x = {"token_ids": ids[:, :-1], "padding_mask": np.ones((6, 10), "bool")}
    return x, ids[:, 1:], weights


def step(model, batch):
    logs = {k: float(v) for k, v in model.train_step(batch).items()}
    return logs, [w.numpy() for w in model.trainable_weights]


@pytest.mark.parametrize("micro_batches", [1, 3])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_leaving_them_out_changes_nothing(share, micro_batches, monkeypatch):
    # Several chunks, the last of them filled up.
    monkeypatch.setattr("gpt3_keras.backend.tensorflow.head.CHUNK_TOKENS", 16)
    batch = make_batch(share)
    logs, weights = step(make_model(), batch)
    sparse = make_model(sparse_targets=True, micro_batches=micro_batches)
    sparse_logs, sparse_weights = step(sparse, batch)
    assert sparse_logs == pytest.approx(logs, rel=1e-5, abs=1e-7)
    for one, other in zip(sparse_weights, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_head_reads_the_counting_positions_alone(monkeypatch):
    model = make_model(sparse_targets=True)
    sizes = []

    def noted(states, *args, **kwargs):
        sizes.append(int(states.shape[0]))
        return mixture_loss(states, *args, **kwargs)

    from gpt3_keras import backend

    mixture_loss = backend.mixture_loss
    monkeypatch.setattr(backend, "mixture_loss", noted)
    batch = make_batch(0.2)
    step(model, batch)
    assert sizes == [int((batch[2] > 0).sum())]


def test_evaluation_leaves_them_out_too():
    batch = make_batch(0.2)
    results = [
        make_model(sparse_targets=sparse).evaluate(
            *batch[:2],
            sample_weight=batch[2],
            verbose=0,
            return_dict=True,
        )
        for sparse in (False, True)
    ]
    assert results[1]["loss"] == pytest.approx(results[0]["loss"], rel=1e-5)


def test_xla_refuses_shapes_that_vary():
    with pytest.raises(
        ValueError,
        match=r"sparse_targets needs shapes that vary, which XLA does not "
        r"compile\. Received: sparse_targets=True, jit_compile=True\.",
    ):
        make_model(sparse_targets=True, jit_compile=True)
