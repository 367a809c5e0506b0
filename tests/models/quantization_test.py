"""Keras' `quantize("int8")`: the same model, but for its weights' rounding."""

import gc

import keras
import numpy as np
import pytest

from gpt3_keras.models.causal_lm import GPT3CausalLM
from tests.models import small

ROWS = small.rows(9, 5, 2)

# Keras says so of each layer that has nothing to quantise.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* does not have a `quantize` method:UserWarning"
)


@pytest.fixture(
    scope="module",
    params=[{}, small.OTHER_CHOICES],
    ids=["default", "other choices"],
)
def pair(request):
    """A model, and the same one quantised."""
    made, quantised = (small.model(**request.param) for _ in range(2))
    quantised.set_weights(made.get_weights())
    # Graphs that it has made by then are not those of its later weights.
    quantised.score(ROWS)
    quantised.generate(ROWS, max_length=12, stop_token_ids=None)
    quantised.quantize("int8")
    return made, quantised


def test_the_output_matrix_is_off_by_half_a_quantum(pair):
    made, quantised = (
        keras.ops.convert_to_numpy(model.backbone.output_kernel())
        for model in pair
    )
    quantum = np.abs(made).max(axis=1, keepdims=True) / 127
    assert np.all(np.abs(quantised - made) <= 0.51 * quantum)
    assert np.any(quantised != made)


def test_it_scores_alike(pair):
    made, quantised = (model.score(ROWS) for model in pair)
    assert np.any(quantised["log_prob"] != made["log_prob"])
    per_token = quantised["log_prob"].sum() / made["log_prob"].sum()
    assert per_token == pytest.approx(1, abs=0.01)


def test_losses_and_scores_are_those_of_its_calls(pair):
    _, quantised = pair
    scores = quantised.score(ROWS)["token_log_probs"]
    for i, row in enumerate(ROWS):
        log_probs = small.log_probs(quantised, row[:-1])
        expected = np.take_along_axis(log_probs, np.array(row)[1:, None], -1)
        np.testing.assert_allclose(
            scores[i, 1 : len(row)], expected[:, 0], atol=0.05
        )


def test_it_writes_what_its_calls_find_likeliest(pair):
    _, quantised = pair
    quantised.compile(sampler="greedy")
    (row,) = small.rows(4)
    written = quantised.generate([row], max_length=9, stop_token_ids=None)
    for token in written["token_ids"][0, 4:9]:
        log_probs = small.log_probs(quantised, row)[-1]
        assert log_probs[token] > log_probs.max() - 0.05
        row.append(int(token))


def save_and_load(model, path):
    model.save(path / "model.keras")
    return keras.saving.load_model(path / "model.keras")


def save_preset_and_load(model, path):
    model.save_to_preset(str(path))
    return GPT3CausalLM.from_preset(str(path))


@pytest.mark.parametrize("again", [save_and_load, save_preset_and_load])
def test_it_is_saved_and_loaded(pair, tmp_path, again):
    _, quantised = pair
    np.testing.assert_array_equal(
        again(quantised, tmp_path).score(ROWS)["token_log_probs"],
        quantised.score(ROWS)["token_log_probs"],
    )


def test_a_model_that_has_not_read_text_yet():
    made, quantised = small.text_model(), small.text_model()
    quantised.quantize("int8")
    text = "a port in line"
    assert quantised.score(text)["log_prob"][0] == pytest.approx(
        made.score(text)["log_prob"][0], rel=0.02
    )


def test_dropping_a_weight_goes_through_new_objects_alone():
    model = small.model()
    old = [[] for _ in range(50_000)]
    gone_through = []

    def look(phase, info):
        if phase == "start" and info["generation"] == 2:
            gone_through.append(len(gc.get_objects()))

    gc.callbacks.append(look)
    try:
        model.quantize("int8")
    finally:
        gc.callbacks.remove(look)
    assert len(gone_through) >= 18  # One for each matrix.
    assert max(gone_through) < len(old)


@pytest.mark.parametrize("mode", ["int8", "int9"])
def test_objects_are_garbage_again_thereafter(mode):
    model = small.model()
    old = [[] for _ in range(50_000)]
    try:
        model.quantize(mode)
    except ValueError:
        assert mode == "int9"
    assert len(gc.get_objects()) > len(old)
