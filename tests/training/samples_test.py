"""Samples come from the model as it is, and training does not notice."""

import dataclasses
import io
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import image

from gpt3_keras import config as configs
from gpt3_keras import config_sections as sections
from gpt3_keras.evaluation import plots
from gpt3_keras.samplers import SeededSampler
from gpt3_keras.training import experiment as experiments
from gpt3_keras.training.samples import SampleWriter

WORDS = ("the", "cat", "sat", "on", "mat", "saw", "that", "dog", "run")


class Board:
    """Keeps what is written on it."""

    def __init__(self):
        self.texts, self.pictures = {}, {}

    def text(self, step, tag, text):
        self.texts[step, tag] = text

    def image(self, step, tag, png):
        self.pictures[step, tag] = png


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    draw = random.Random(0)
    lines = [" ".join(draw.choices(WORDS, k=20)) for _ in range(60)]
    path.write_text("\n".join(lines))
    return configs.ExperimentConfig(
        model=sections.ModelConfig(
            hidden_dim=8, num_heads=2, max_sequence_length=48
        ),
        tokenizer=sections.TokenizerConfig(trained_vocabulary_size=280),
        data=sections.DataConfig(
            train=str(path), document="line", sequence_length=40, batch_size=4
        ),
        generation=sections.GenerationConfig(max_new_tokens=9, seed=3),
    )


@pytest.fixture(scope="module")
def experiment(config):
    return experiments.build(config)


def no_picture(attention, tokens, file):
    file.write(b"PNG")


def first_row(experiment):
    (x, _, _) = next(iter(experiment.phase_data[0].validation))
    return x["token_ids"][0].numpy().tolist()


def test_the_model_writes_on_from_the_first_held_out_row(experiment):
    board = Board()
    SampleWriter(experiment, board, no_picture)(7)
    ((key, text),) = board.texts.items()
    assert key == (7, "sample")
    tokenizer = experiment.model.preprocessor.tokenizer
    prompt = first_row(experiment)[:16]
    experiment.model.compile(sampler=SeededSampler(0.8, 0, 0.95, seed=3))
    written = experiment.model.generate([prompt], max_new_tokens=9)
    (new,) = written["token_ids"][:, 16:]
    special = tokenizer.special_token_ids
    before, after = (
        tokenizer.detokenize([int(i) for i in ids if i not in special])
        for ids in (prompt, new)
    )
    assert text.split() == f"{before} ▶{after}".split()
    assert after


def test_a_sample_changes_with_the_model_alone(experiment):
    board = Board()
    sample = SampleWriter(experiment, board, no_picture)
    sample(1)
    sample(2)
    assert board.texts[1, "sample"] == board.texts[2, "sample"]
    embedding = experiment.model.backbone.token_embedding
    before = embedding.get_weights()
    embedding.set_weights([-2.0 * weight for weight in before])
    sample(3)
    embedding.set_weights(before)
    assert board.texts[1, "sample"] != board.texts[3, "sample"]


def test_the_pointer_is_drawn_where_text_repeats(experiment):
    drawn = []

    def draw(attention, tokens, file):
        drawn.append((attention, tokens))
        file.write(b"PNG")

    board = Board()
    SampleWriter(experiment, board, draw)(7)
    assert board.pictures == {(7, "pointer"): b"PNG"}
    ((attention, tokens),) = drawn
    num_tokens = len(tokens) - 1
    assert num_tokens == 36
    assert attention["pointer_probs"].shape == (num_tokens, num_tokens)
    np.testing.assert_allclose(
        attention["pointer_probs"].sum(-1), 1.0, rtol=1e-5
    )
    x, _, _ = next(experiment.phase_data[0].validation.as_numpy_iterator())
    repeats = [
        sum(token in row[:i] for i, token in enumerate(row[:37]))
        for row in (
            ids[real].tolist()
            for ids, real in zip(x["token_ids"], x["padding_mask"], strict=True)
        )
    ]
    assert len(tokens) - len(set(tokens)) == max(repeats) > min(repeats)


def test_the_package_s_picture_is_a_png(experiment):
    board = Board()
    SampleWriter(experiment, board, plots.save_pointer)(7)
    (png,) = board.pictures.values()
    assert image.imread(io.BytesIO(png)).shape[0] > 300


def trained(config, samples_of):
    """Weights and state after three steps with a sample after each."""
    made = experiments.build(config)
    model = experiments.on_token_ids(made.model)
    model.compile(optimizer=keras.optimizers.AdamW(1e-2), seed=1)
    model.make_train_function()
    fixed = [model.optimizer, model.train_function, model.sampler]
    fixed += [made.model.optimizer, made.model.sampler]
    sample = samples_of(made)
    on_step = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: sample(batch)
    )
    history = model.fit(
        made.phase_data[0].train(),
        steps_per_epoch=3,
        callbacks=[on_step],
        shuffle=False,
        verbose=0,
    )
    found = [model.optimizer, model.train_function, model.sampler]
    found += [made.model.optimizer, made.model.sampler]
    assert all(a is b for a, b in zip(fixed, found, strict=True))
    return model, history.history


def random_states(model):
    return [
        random.getstate(),
        np.random.get_state()[1].tolist(),
        tf.random.get_global_generator().state.numpy().tolist(),
        np.asarray(model.backbone.seed_generator.state).tolist(),
        keras.random.uniform((3,)).numpy().tolist(),
    ]


def test_training_does_not_notice(config):
    board = Board()
    outcomes = []
    for samples_of in (
        lambda made: SampleWriter(made, board, plots.save_pointer),
        lambda made: lambda step: None,
    ):
        tf.random.set_global_generator(tf.random.Generator.from_seed(0))
        model, history = trained(config, samples_of)
        history.pop("tokens_per_sec", None)
        outcomes.append((model.get_weights(), history, random_states(model)))
    assert len(board.texts) == len(board.pictures) == 3
    assert len(set(board.texts.values())) > 1
    (weights, *rest), (plain_weights, *plain_rest) = outcomes
    for weight, plain in zip(weights, plain_weights, strict=True):
        np.testing.assert_array_equal(weight, plain)
    assert rest == plain_rest


def test_the_graph_is_made_once(experiment):
    sample = SampleWriter(experiment, Board(), no_picture)
    for step in range(3):
        sample(step)
    assert sample.generate.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("num_real", [1, 5])
def test_short_rows_are_enough(config, num_real):
    made = experiments.build(config)
    mask = np.arange(8) < np.array([[num_real], [0]])
    ids = np.arange(8) * mask
    batch = ({"token_ids": ids, "padding_mask": mask}, ids + 1, 1.0 * mask)
    dataset = tf.data.Dataset.from_tensors(batch)
    drawn = []
    board = Board()
    data = dataclasses.replace(made.phase_data[0], validation=dataset)
    SampleWriter(
        dataclasses.replace(made, phase_data=[data]),
        board,
        lambda attention, tokens, file: drawn.append(len(tokens)),
    )(0)
    assert drawn == [num_real + 1]
    assert "▶" in board.texts[0, "sample"]
