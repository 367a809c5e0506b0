"""The train step: one update from one batch, whatever it was cut into.

Dropout is on, and rows are of very uneven lengths, so that a mean of the
parts' means is another number than the mean over all tokens.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import losses
from tests import graphs
from tests import sweep
from tests.models import small

# Seven rows a batch: no part of two, three or eight has as many as the others.
ROW_LENGTHS = [
    (12, 1, 3, 7, 2, 9, 1),
    (2, 12, 4, 1, 1, 8, 5),
    (1, 1, 12, 10, 2, 3, 6),
    (12, 2, 2, 2, 2, 2, 1),
    (5, 12, 1, 9, 3, 3, 2),
    (7, 3, 12, 1, 1, 2, 12),
]
WEIGHT_TOLERANCE = 1e-5
LOSS_TOLERANCE = 1e-6


def batches():
    return [small.batch(*n, seed=i) for i, n in enumerate(ROW_LENGTHS)]


class StepLogs(keras.callbacks.Callback):
    """What each call of the train function logs, of its own steps alone."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(logs)


def make_model(optimizer=None, dtype="float32", **arguments):
    model = small.model(dropout=0.3, dtype=dtype)
    optimizer = optimizer or keras.optimizers.AdamW(1e-3)
    model.compile(optimizer, **{"seed": 7, **arguments})
    return model


def train(data=None, optimizer=None, **arguments):
    """The weights after a step on each batch, by path, and every loss."""
    model = make_model(optimizer, **arguments)
    steps = StepLogs()
    data = small.dataset(data or batches())
    model.fit(data, shuffle=False, verbose=0, callbacks=[steps])
    return weights_of(model), [logs["loss"] for logs in steps.logs]


def weights_of(model):
    return {w.path: np.asarray(w, "float64") for w in model.weights}


def distance(weights, expected):
    """The largest difference over the variable's largest weight."""
    assert weights.keys() == expected.keys()
    return max(
        np.abs(weights[path] - value).max() / np.abs(value).max()
        for path, value in expected.items()
    )


def check_same(trained, expected):
    assert distance(trained[0], expected[0]) < WEIGHT_TOLERANCE
    np.testing.assert_allclose(trained[1], expected[1], rtol=LOSS_TOLERANCE)


@pytest.fixture(scope="module")
def expected():
    """What training on whole batches gives."""
    trained = train()
    assert len(trained[1]) == 6
    moved = distance(weights_of(make_model()), trained[0])
    assert moved > 100 * WEIGHT_TOLERANCE
    return trained


# However a batch is cut.


@pytest.mark.parametrize("micro_batches", sweep.cases([2, 3, 8, 20], [20]))
def test_micro_batches_are_one_batch(expected, micro_batches):
    """Of uneven sizes, and more of them than there are rows."""
    check_same(train(micro_batches=micro_batches), expected)


def test_under_xla_they_are_the_same(expected):
    check_same(train(micro_batches=3, jit_compile=True), expected)


def test_run_eagerly_they_are_the_same(expected):
    check_same(train(micro_batches=3, run_eagerly=True), expected)


def test_several_steps_in_one_execution_are_the_same(expected):
    """Four, and then the two that are left."""
    weights, step_losses = train(micro_batches=2, steps_per_execution=4)
    assert distance(weights, expected[0]) < WEIGHT_TOLERANCE
    num_targets = [sum(lengths) for lengths in ROW_LENGTHS]
    by_hand = [
        np.average(expected[1][part], weights=num_targets[part])
        for part in (np.s_[:4], np.s_[4:])
    ]
    np.testing.assert_allclose(step_losses, by_hand, rtol=LOSS_TOLERANCE)


def test_a_mean_of_means_would_be_noticed(expected):
    """Weights that give each of three parts the same say."""
    data = []
    for x, y, sample_weight in batches():
        parts = np.array_split(sample_weight, [3, 6])
        say = sample_weight.sum() / len(parts)
        parts = [part * say / part.sum() for part in parts]
        data.append((x, y, np.concatenate(parts).astype("float32")))
    weights, step_losses = train(data, run_eagerly=True)
    assert distance(weights, expected[0]) > 100 * WEIGHT_TOLERANCE
    off = np.abs(np.array(step_losses) / expected[1] - 1.0)
    assert (off > 100 * LOSS_TOLERANCE).all()


def test_order_and_padding_change_nothing(expected):
    data = []
    for seed, (x, y, sample_weight) in enumerate(batches()):
        order = np.random.default_rng(seed).permutation(len(y))
        wide = [
            np.pad(array[order], ((0, 0), (0, 1 + seed % 3)))
            for array in (*x.values(), y, sample_weight)
        ]
        data.append((dict(zip(x, wide, strict=False)), *wide[2:]))
    check_same(train(data, micro_batches=2, run_eagerly=True), expected)


def test_the_seed_and_the_step_make_the_dropout(expected):
    other_seed = train(seed=8, run_eagerly=True)
    assert abs(other_seed[1][0] / expected[1][0] - 1.0) > 1e-3
    # The same rows at another step, with a model that has not moved.
    repeated = train(
        [batches()[0]] * 2, keras.optimizers.SGD(0.0), run_eagerly=True
    )
    assert repeated[1][0] == pytest.approx(expected[1][0], LOSS_TOLERANCE)
    assert abs(repeated[1][1] / repeated[1][0] - 1.0) > 1e-3


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(1e-2, momentum=0.9),
    # Its own epsilon makes NaN of a matrix with empty rows and columns, as
    # position biases have.
    "adafactor": lambda: keras.optimizers.Adafactor(1e-2, epsilon_1=1e-12),
    "lion": lambda: keras.optimizers.Lion(1e-3),
    "rmsprop": lambda: keras.optimizers.RMSprop(1e-3),
    "average": lambda: keras.optimizers.Adam(
        1e-3, use_ema=True, ema_overwrite_frequency=2
    ),
    "decay": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.1),
    "clipvalue": lambda: keras.optimizers.SGD(0.1, clipvalue=1e-3),
    "clipnorm": lambda: keras.optimizers.SGD(0.1, clipnorm=1e-2),
    "global_clipnorm": lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.1),
}


@pytest.mark.parametrize("name", sweep.cases(OPTIMIZERS, ["global_clipnorm"]))
def test_every_optimizer_sees_the_same_gradient(name):
    make = OPTIMIZERS[name]
    check_same(
        train(optimizer=make(), micro_batches=3, run_eagerly=True),
        train(optimizer=make(), run_eagerly=True),
    )


@pytest.mark.parametrize(
    ("clipping", "clip"),
    [
        ({"clipvalue": 1e-2}, lambda g: tf.clip_by_value(g, -1e-2, 1e-2)),
        ({"clipnorm": 1e-2}, lambda g: tf.clip_by_norm(g, 1e-2)),
    ],
)
def test_clipping_sees_the_gradient_of_the_whole_batch(clipping, clip):
    model = make_model(
        keras.optimizers.SGD(1.0, **clipping), micro_batches=7, run_eagerly=True
    )
    x, y, sample_weight = batches()[0]
    num_targets = sample_weight.sum()
    variables = [v.value for v in model.trainable_variables]
    of_rows = []
    for i in range(len(y)):
        row = {name: array[i : i + 1] for name, array in x.items()}
        with tf.GradientTape() as tape:
            objective = model.compute_losses(
                row,
                y[i : i + 1],
                sample_weight[i : i + 1],
                training=True,
                dropout_key=model.dropout_key(),
            )["objective"]
        gradients = tape.gradient(objective, variables)
        of_rows.append([tf.convert_to_tensor(g) for g in gradients])
    before = weights_of(model)
    model.train_on_batch(x, y, sample_weight=sample_weight)
    after = weights_of(model)
    differs = 0
    for path, *rows in zip(after, *of_rows, strict=True):
        step = clip(sum(rows) / num_targets)
        np.testing.assert_allclose(before[path] - after[path], step, atol=1e-6)
        wrong = sum(clip(row / num_targets) for row in rows)
        differs += np.abs(wrong - step).max() > 1e-3
    assert differs > len(after) / 2


# What has no target.


@pytest.mark.parametrize(
    ("micro_batches", "run_eagerly"),
    [(1, True), (3, False), sweep.case(1, False), sweep.case(3, True)],
)
def test_a_batch_without_rows_or_targets_changes_nothing(
    micro_batches, run_eagerly
):
    model = make_model(
        keras.optimizers.SGD(1.0),
        micro_batches=micro_batches,
        run_eagerly=run_eagerly,
    )
    before = weights_of(model)
    x, y, sample_weight = batches()[0]
    no_rows = {name: array[:0] for name, array in x.items()}
    data = small.dataset(
        [(no_rows, y[:0], sample_weight[:0]), (x, y, sample_weight * 0)]
    )
    history = model.fit(data, shuffle=False, verbose=0).history
    assert history["loss"] == history["gradient_norm"] == [0.0]
    assert distance(weights_of(model), before) == 0.0
    assert model.optimizer.iterations == 2
    assert model.evaluate(data, verbose=0) == [0.0, 1.0, *[0.0] * 6]


def test_rows_without_targets_are_as_if_they_were_not_there():
    x, y, sample_weight = small.batch(5, 4, 9, 12)
    sample_weight[[0, 2]] = 0.0
    kept = (
        {name: array[[1, 3]] for name, array in x.items()},
        y[[1, 3]],
        sample_weight[[1, 3]],
    )
    check_same(
        train([(x, y, sample_weight)], micro_batches=4, run_eagerly=True),
        train([kept], run_eagerly=True),
    )


# What it costs.

V, ROWS, LENGTH = 1009, 4, 12


def step_graph(trainable=(), rows=ROWS, weights=None, micro_batches=1):
    """The graph of a train step, for rows of a known number and length.

    `trainable` names the modules that learn; nothing stands for all.
    """
    model = small.model(vocabulary_size=V, dropout=0.3)
    for name in ("token_embedding", "position_embedding", "encoder"):
        model.backbone.get_layer(name).trainable = True
    if trainable:
        for layer in model.backbone.layers:
            layer.trainable = layer.name in trainable
    model.compile(
        keras.optimizers.SGD(),
        loss_weights=weights,
        micro_batches=micro_batches,
    )
    model.optimizer.build(model.trainable_variables)
    tokens = tf.TensorSpec((rows, LENGTH), "int32")
    step = tf.function(lambda x, y, w: model.train_step((x, y, w)))
    return step.get_concrete_function(
        {"token_ids": tokens, "padding_mask": tokens},
        tokens,
        tf.TensorSpec((rows, LENGTH), "float32"),
    ).graph


def cost(graph):
    """(loops over time, products with the vocabulary, other products)."""
    loops = vocabulary = others = 0
    for operation in graphs.operations(graph):
        if operation.type in ("While", "StatelessWhile"):
            loops += 1
        if operation.type in ("MatMul", "BatchMatMulV2", "Einsum"):
            reads_vocabulary = any(V in s for s in graphs.shapes(operation))
            vocabulary += reads_vocabulary
            others += not reads_vocabulary
    return loops, vocabulary, others


def only(**weights):
    return {**dict.fromkeys(losses.TERMS, 0.0), **weights}


@pytest.fixture(scope="module")
def whole_cost():
    return cost(step_graph())


def test_training_everything_is_the_measure(whole_cost):
    """Two recurrences forth and back; logits, d_states and d_kernel."""
    assert whole_cost[:2] == (4, 3)


def test_a_pointer_that_learns_alone_pays_for_itself_alone(whole_cost):
    loops, vocabulary, others = cost(step_graph({"pointer"}))
    assert (loops, vocabulary) == (2, 1)
    # Forward as always, backward through the pointer's own products only.
    forward = whole_cost[2] / 3
    assert others < 2 * forward


def test_a_frozen_embedding_has_no_product_of_the_vocabulary():
    modules = {"encoder", "pointer", "generator"}
    assert cost(step_graph(modules))[:2] == (4, 2)


def test_a_term_of_weight_zero_costs_no_gradient(whole_cost):
    # The generator alone: nothing goes back through the pointer.
    loops, vocabulary, others = cost(step_graph(weights=only(generator=1.0)))
    assert (loops, vocabulary) == (4, 3)
    assert others < whole_cost[2]
    # The pointer alone: nothing goes back through head and generator.
    loops, vocabulary, others = cost(step_graph(weights=only(pointer=1.0)))
    assert (loops, vocabulary) == (3, 1)
    assert others < whole_cost[2]


def test_memory_is_that_of_one_micro_batch():
    """Outside of the loop, only inputs and weights; no gradient's list."""
    of_weights = {
        tuple(w.shape) for w in small.model(vocabulary_size=V).weights
    }
    counts = []
    for micro_batches in (2, 8):
        rows = 2 * micro_batches
        graph = step_graph(rows=rows, micro_batches=micro_batches)
        operations = graph.get_operations()
        for operation in operations:
            assert "TensorList" not in operation.type, operation.name
            for shape in graphs.shapes(operation):
                assert None not in shape
                assert (
                    np.prod(shape, dtype=int) <= 64 + rows * LENGTH
                    or shape in of_weights
                ), operation.name
        counts.append(len(operations))
    assert counts[0] == counts[1]
