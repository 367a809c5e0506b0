"""The dialogue model: causal, cut as one likes, saved, and able to learn."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.data import dialogue_batches
from gpt3_keras.models import dialogue_objective
from gpt3_keras.models.dialogue import GPT3DialogueModel
from tests import sweep
from tests.models import small_dialogues as small

TURNS = (4, 1, 3, 2, 4)


@pytest.fixture(scope="module")
def model():
    return small.model()


@pytest.fixture(scope="module")
def outputs(model):
    return call(model, small.batch(*TURNS)[0])


def call(model, x):
    return {name: value.numpy() for name, value in model(x).items()}


def test_what_it_reads_are_distributions(outputs):
    for name in ("intent_updates", "slot_updates", "start_log_probs"):
        total = np.exp(outputs[name]).sum(axis=-1)
        np.testing.assert_allclose(total, 1.0, rtol=1e-5)
        assert outputs[name].dtype == "float32"
    x, _, _ = small.batch(*TURNS)
    # What the schema lacks, and the future, has no probability.
    lacks = np.exp(outputs["slot_updates"][:, :, :, 1:])[:, 0]
    is_new = np.arange(4) == 2
    valid = (x["candidates"] >= 0) | (x["is_open"][:, :, None] & is_new)
    np.testing.assert_array_equal(lacks[~valid], 0.0)
    first_turn_ends = x["utterances"][:, 1].max(axis=-1)
    starts = np.exp(outputs["start_log_probs"][:, 0])
    for row, end in zip(starts, first_turn_ends, strict=True):
        np.testing.assert_array_equal(row[:, end + 1 :], 0.0)
        assert (row[:, : end + 1].sum(axis=-1) > 0.99).all()


def test_later_turns_change_nothing(model, outputs):
    """The state of turn n does not see turn n + 1, not even that it is."""
    for num_turns in (1, 2, 3):
        x, _, _ = small.batch(*(min(n, num_turns) for n in TURNS))
        length = x["token_ids"].shape[1]
        for name, value in call(model, x).items():
            whole = outputs[name][:, : value.shape[1]]
            if name in ("start_log_probs", "end_log_probs"):
                whole = whole[..., :length]
            for row, n in enumerate(TURNS):
                kept = min(n, num_turns)
                np.testing.assert_allclose(
                    value[row, :kept], whole[row, :kept], atol=2e-5
                )


def test_later_words_have_no_gradient(model):
    x, _, _ = small.batch(4)
    embedding = model.backbone.token_embedding.embeddings
    for turn in range(4):
        with tf.GradientTape() as tape:
            found = model(x)
            total = sum(
                tf.reduce_sum(tf.sin(found[name][:, turn]))
                for name in ("intent_updates", "slot_updates")
            )
        gradient = tf.convert_to_tensor(tape.gradient(total, embedding.value))
        end = x["utterances"][0, : 2 * turn + 2].max()
        ids = x["token_ids"][0]
        texts = [x[k] for k in ("intent_ids", "slot_ids", "text_ids")]
        known = {*ids[: end + 1]}.union(*(t.ravel().tolist() for t in texts))
        for token in {*ids[end + 1 :]} - known:
            np.testing.assert_array_equal(gradient[token], 0.0)
        assert np.any(gradient.numpy()[ids[end]])


def test_padding_and_other_rows_change_nothing(model, outputs):
    x, _, _ = small.batch(TURNS[2], seed=2)
    alone = call(model, x)
    num_turns, length = 3, x["token_ids"].shape[1]
    for name, value in alone.items():
        whole = outputs[name][2, :num_turns]
        if name in ("start_log_probs", "end_log_probs"):
            whole = whole[..., :length]
        np.testing.assert_allclose(value[0], whole, atol=2e-5)


def test_the_order_of_slots_is_the_order_of_what_is_read(model):
    x, _, _ = small.batch(4)
    order = np.array([3, 1, 4, 0, 2])
    moved = {**x, "slot_ids": x["slot_ids"][:, order]}
    moved["candidates"] = x["candidates"][:, order]
    moved["is_open"] = x["is_open"][:, order]
    mentions = x["mentions"].copy()
    mentions[..., 1] = np.argsort(order)[mentions[..., 1]]
    moved["mentions"] = mentions
    expected, found = call(model, x), call(model, moved)
    for name in ("slot_updates", "requested_logits"):
        np.testing.assert_allclose(
            found[name], expected[name][:, :, order], atol=1e-5
        )


def train(micro_batches=1):
    """The weights after two steps, and the losses."""
    model = small.model(dropout=0.3, word_dropout=0.2)
    weights = {"similarity": 0.3, "constraint": 0.5, "language_model": 0.1}
    model.compile(
        keras.optimizers.SGD(1e-2),
        loss_weights=weights,
        label_smoothing=0.1,
        micro_batches=micro_batches,
        seed=7,
        run_eagerly=True,
    )
    batches = [small.batch(*TURNS), small.batch(1, 2, 4, seed=2)]
    history = model.fit(small.dataset(batches), shuffle=False, verbose=0)
    return small.weights_of(model), history.history


@pytest.fixture(scope="module")
def trained():
    return train()


@pytest.mark.parametrize("micro_batches", [3, sweep.case(7)])
def test_micro_batches_are_one_batch(trained, micro_batches):
    weights, history = train(micro_batches)
    for path, expected in trained[0].items():
        scale = np.abs(expected).max()
        assert np.abs(weights[path] - expected).max() < 1e-5 * scale, path
    for name, value in trained[1].items():
        if name != "turns_per_sec" and name != "tokens_per_sec":
            np.testing.assert_allclose(history[name], value, rtol=2e-5)


def test_every_weight_that_should_learn_has_moved(trained):
    before = small.weights_of(small.model(dropout=0.3))
    moved = {
        path
        for path, value in trained[0].items()
        if np.abs(value - before[path]).max() > 0
    }
    for part in ("heads", "encoder", "generator", "pointer", "similarity"):
        assert any(part in path for path in moved)


def test_a_term_of_weight_0_costs_no_gradient():
    model = small.model()
    zeros = dict.fromkeys(dialogue_objective.TERMS, 0.0)
    model.compile(loss_weights={**zeros, "intent": 1.0}, run_eagerly=True)
    x, y, weights = small.batch(4, 2)
    with tf.GradientTape() as tape:
        sums = model.compute_losses(x, y, weights, training=True)
    np.testing.assert_allclose(sums["objective"], sums["intent"][0])
    requested = model.heads.requested_output.kernel.value
    assert tape.gradient(sums["objective"], requested) is None
    assert sums["num_targets"] == 4.0  # The second turn is context.


def test_counts():
    model = small.model()
    x, y, weights = small.batch(*TURNS)
    sums = model.compute_losses(x, y, weights, training=False)
    num_turns = weights.sum()
    slots = num_turns * 4  # All but the phone, which is only asked about.
    expected = {
        "intent": num_turns,
        "requested": num_turns * 5,
        "slot": slots,
        "span": len(TURNS) + 2,  # food in each, time in two.
        "constraint": num_turns,
        "similarity": sum(n - 1 for n in TURNS),
    }
    counts = {name: float(sums[name][1]) for name in expected}
    assert counts == expected
    for total, _ in (sums[name] for name in expected):
        assert float(total) > 0


def test_what_is_unlearnt_of_a_state_is_not_judged():
    model = small.model()
    x, y, weights = small.batch(4)
    changed = copy.deepcopy(y)
    changed["slots"][:, 1] = 0  # A turn that is context.
    changed["slots"][:, 0, 4] = -1  # A slot that has no value.
    pairs = [
        model.compute_losses(x, z, weights, training=False)
        for z in (y, changed)
    ]
    for name in dialogue_objective.TERMS:
        np.testing.assert_allclose(*(pair[name] for pair in pairs))


def test_it_is_saved_with_all_that_it_is(tmp_path, trained):
    model = small.model(word_dropout=0.25)
    model.compile(label_smoothing=0.2, loss_weights={"similarity": 0.5})
    path = str(tmp_path / "model.keras")
    model.save(path)
    again = keras.saving.load_model(path)
    x, _, _ = small.batch(3, 2)
    for name, value in call(model, x).items():
        np.testing.assert_array_equal(call(again, x)[name], value)
    assert again.get_config() == model.get_config()
    assert again.label_smoothing == 0.2
    assert again.loss_weights == model.loss_weights


def test_it_is_a_preset(tmp_path):
    model = small.model()
    model.save_to_preset(str(tmp_path))
    again = GPT3DialogueModel.from_preset(str(tmp_path))
    x, _, _ = small.batch(3, 2)
    for name, value in call(model, x).items():
        np.testing.assert_array_equal(call(again, x)[name], value)


@pytest.mark.slow
def test_it_learns_the_dialogues_by_heart():
    model = small.new_model(hidden_dim=16)
    model.compile(keras.optimizers.Adam(2e-2), seed=0)
    data = small.dataset([small.batch(*[4] * 4)])
    model.fit(data.cache().repeat(60), shuffle=False, verbose=0)
    logs = model.evaluate(data, verbose=0, return_dict=True)
    assert logs["joint_accuracy"] == logs["intent_accuracy"] == 1.0
    assert logs["span_loss"] < 0.5


def test_in_half_precision_what_it_reads_is_float32():
    model = small.model(dtype="mixed_bfloat16")
    x, y, weights = small.batch(3, 2)
    assert all(v.dtype == "float32" for v in model(x).values())
    sums = model.compute_losses(x, y, weights, training=False)
    assert np.isfinite(sums["objective"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"label_smoothing": 1.0},
            r"label_smoothing must be in \[0, 1\). Received: "
            "label_smoothing=1.0.",
        ),
        (
            {"similarity_form": "cosine"},
            'similarity_form must be "log_sum_exp" or "least_squares". '
            "Received: similarity_form='cosine'.",
        ),
        (
            {"similarity_temperature": 0.0},
            "similarity_temperature must be positive. Received: "
            "similarity_temperature=0.0.",
        ),
        (
            {"loss_weights": {"slots": 1.0}},
            "loss_weights must only have the keys .* Received: "
            "loss_weights={'slots': 1.0}.",
        ),
    ],
)
def test_what_compile_cannot_take(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.compile(**arguments)


def test_a_batch_without_labels_is_refused(model):
    x, _, _ = small.batch(1)
    message = r"A batch must be \(x, y, sample_weight\)"
    with pytest.raises(ValueError, match=message):
        model.train_step((x,))


def test_heads_that_do_not_divide():
    with pytest.raises(ValueError, match=r"num_heads must divide hidden_dim\."):
        GPT3DialogueModel(small.model().backbone, num_heads=3)


def test_the_batch_has_what_the_model_takes():
    x, _, _ = dialogue_batches.element_spec()
    from gpt3_keras.models.dialogue import INPUTS

    assert tuple(x) == INPUTS
    assert x["utterances"].shape.rank == 3
