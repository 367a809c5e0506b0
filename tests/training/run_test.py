"""A run of three phases: who learns, what is saved, how it goes on."""

import contextlib
import itertools

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras import config as configs
from gpt3_keras.config_training import MODULES
from gpt3_keras.training import experiment
from gpt3_keras.training import run as runs
from gpt3_keras.training import workdir
from gpt3_keras.training.callbacks import RunMonitor
from gpt3_keras.training.checkpoints import CheckpointStore
from gpt3_keras.training.signals import Interrupted
from gpt3_keras.training.signals import StopRequest
from tests import sweep

# Keras turns its variables into NumPy arrays the old way when it saves them.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)
LAST_STEP = 26
OVERRIDES = (
    "model.num_heads=2",
    "model.hidden_dim=8",
    "model.pointer_hidden_dims=[4, 4]",
    "model.max_sequence_length=16",
    "model.dropout=0.1",
    "tokenizer.trained_vocabulary_size=262",
    "data.document=line",
    "data.validation=null",
    "data.sequence_length=8",
    "data.batch_size=4",
    "training.learning_rate={start: 2e-2, end: 2e-3}",
    "training.validation_steps=4",
    "training.checkpoint_steps=5",
    "training.phases=["
    "{name: encoder, steps: 6, trainable: [embeddings, encoder, generator],"
    " loss_weights: {language_model: 0, generator: 1, pointer: 0, gate: 0}},"
    "{name: pointer, steps: 4, trainable: [pointer]},"
    "{name: all, steps: 16}]",
    "generation.max_new_tokens=4",
)
ONE_PHASE = "training.phases=[{name: all, steps: 26}]"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    words = np.random.default_rng(0).choice(["to", "be", "or", "not"], 4000)
    lines = [" ".join(line) for line in words.reshape(200, 20)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@contextlib.contextmanager
def in_silence(folder, state):
    yield lambda record: None, lambda step: None


def train(text, folder, *overrides):
    """Trains, or goes on; returns the experiment and the history."""
    config = configs.load_config(
        "demo", [f"data.train={text}", *OVERRIDES, *overrides]
    )
    made = experiment.build(config)
    with StopRequest() as stop:
        history = runs.train(made, folder, in_silence, stop)
    return made, history


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    """A run that was never stopped, and the weights at its checkpoints."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    made, history = train(text, folder, "training.keep_checkpoints=99")
    return made, history, folder


def weights_at(made, folder, step):
    """The weights of a checkpoint, by path."""
    store = CheckpointStore(folder / workdir.CHECKPOINTS, keep=99)
    last = made.model.get_weights()
    store.restore(step, made.model, None)
    found = {w.path: w.numpy() for w in made.model.backbone.weights}
    made.model.set_weights(last)
    return found


def windows(history, phase):
    return [r for r in history if "loss" in r and r["phase"] == phase]


def without_speed(history):
    speed = ("tokens_per_sec", "flops_utilisation")
    return [{k: v for k, v in r.items() if k not in speed} for r in history]


def test_the_ends_of_phases_are_checkpoints(trained):
    _, history, folder = trained
    store = CheckpointStore(folder / workdir.CHECKPOINTS, keep=99)
    assert {5, 6, 10, 15, 20, 25, LAST_STEP} <= set(store.steps())
    last_steps = {record["phase"]: record["step"] for record in history}
    assert last_steps == {"encoder": 6, "pointer": 10, "all": LAST_STEP}
    assert store.read_state(6)["phase"] == 1
    assert store.read_state(LAST_STEP)["phase"] == 3


def test_what_is_not_trainable_stands_still(trained):
    made, _, folder = trained

    def module_of(path):
        layer = path.split("/")[0]
        return "embeddings" if layer.endswith("_embedding") else layer

    steps = (6, 10, 15)
    snapshots = [weights_at(made, folder, step) for step in steps]
    learnt = [
        {
            module_of(path)
            for path, value in after.items()
            if not np.array_equal(value, before[path])
        }
        for before, after in itertools.pairwise(snapshots)
    ]
    assert learnt == [{"pointer"}, set(MODULES)]


def test_the_rate_falls_through_all_phases(trained):
    _, history, _ = trained
    rates = [r["learning_rate"] for r in history if "loss" in r]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(2e-3)


def test_the_first_phase_trains_the_generator_alone(trained):
    _, history, _ = trained
    for record in windows(history, "encoder"):
        assert record["loss"] == pytest.approx(
            record["generator_loss"], rel=1e-5
        )


def test_validation_keeps_its_own_rhythm(trained):
    _, history, _ = trained
    steps = [record["step"] for record in history if "val_loss" in record]
    assert steps == [4, 6, 8, 10, 12, 16, 20, 24, 26]


def test_records_tell_of_the_gradient_and_the_device(trained):
    _, history, _ = trained
    for record in windows(history, "all"):
        assert record["gradient_norm"] > 0
        assert 0 < record["flops_utilisation"] < 10


def test_training_lowers_the_loss(trained):
    _, history, _ = trained
    first, *_, last = windows(history, "all")
    assert last["language_model_loss"] < first["language_model_loss"]


def test_the_best_weights_are_kept(trained):
    made, history, folder = trained
    losses = {r["step"]: r["val_loss"] for r in history if "val_loss" in r}
    of_last_phase = {k: v for k, v in losses.items() if k > 10}
    best = min(of_last_phase, key=of_last_phase.get)
    expected = weights_at(made, folder, best)
    for weight in made.model.backbone.weights:
        np.testing.assert_array_equal(weight.numpy(), expected[weight.path])
    _, loaded = workdir.load(folder)
    for weight in loaded.backbone.weights:
        np.testing.assert_array_equal(weight.numpy(), expected[weight.path])


def test_after_a_run_everything_may_learn_again(trained):
    made, _, _ = trained
    assert all(w.trainable for w in made.model.backbone.weights)


def stop_at(step, monkeypatch):
    """Has the run asked to stop after a step of its own."""
    end = RunMonitor.on_train_batch_end

    def ask(monitor, batch, logs=None):
        if monitor.plan.step == step:
            monitor.stop.signal = 15
        end(monitor, batch, logs)

    monkeypatch.setattr(RunMonitor, "on_train_batch_end", ask)


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps", [(8,), sweep.case((3, 8, 17)), sweep.case((6, 10, 25))]
)
def test_an_interrupted_run_ends_like_one_that_was_not(
    text, trained, tmp_path, monkeypatch, steps
):
    for step in steps:
        stop_at(step, monkeypatch)
        with pytest.raises(Interrupted, match="stopped by SIGTERM after step"):
            train(text, tmp_path / "run")
        monkeypatch.undo()
    made, history = train(text, tmp_path / "run")
    expected, its_history, _ = trained
    for weight, other in zip(
        made.model.backbone.weights,
        expected.model.backbone.weights,
        strict=True,
    ):
        np.testing.assert_array_equal(weight.numpy(), other.numpy())
    validations = [r for r in history if "val_loss" in r]
    assert validations == [r for r in its_history if "val_loss" in r]


def test_early_stopping_ends_a_phase_with_its_best_weights(text, tmp_path):
    made, history = train(
        text,
        tmp_path / "run",
        "training.validation_steps=2",
        "training.early_stopping={patience: 1, min_delta: 9}",
        "training.phases=[{name: pointer, steps: 5, trainable: [pointer]},"
        "{name: all, steps: 6}]",
    )
    # Nothing gets better by so much: each phase has its second validation.
    steps = [record["step"] for record in history if "val_loss" in record]
    assert steps == [2, 4, 6, 8]
    store = CheckpointStore(tmp_path / "run" / workdir.CHECKPOINTS, keep=1)
    assert store.latest() == 8
    assert store.best() == 6
    best = weights_at(made, tmp_path / "run", 6)
    for weight in made.model.backbone.weights:
        np.testing.assert_array_equal(weight.numpy(), best[weight.path])


@pytest.fixture(scope="module")
def begun(text, tmp_path_factory):
    """A run of one phase in a folder whose run was killed when it had begun.

    It validates once an epoch, and keeps one checkpoint.
    """
    folder = tmp_path_factory.mktemp("runs") / "run"
    overrides = (
        ONE_PHASE,
        "data.batch_size=64",
        "training.validation_steps=null",
        "training.keep_checkpoints=1",
    )
    config = configs.load_config(
        "demo", [f"data.train={text}", *OVERRIDES, *overrides]
    )
    config = experiment.resolve(config, tf.distribute.get_strategy())
    workdir.begin(folder, config)
    (folder / "history.jsonl").write_text('{"step": 3, "loss": 1.0}\n{"st')
    made, history = train(text, folder, *overrides)
    return made, history, folder


def test_old_checkpoints_make_room(begun):
    _, _, folder = begun
    store = CheckpointStore(folder / workdir.CHECKPOINTS, keep=1)
    assert len(store.steps()) <= 2
    assert store.latest() == LAST_STEP


def test_a_run_starts_anew_where_it_was_killed_before_its_first_checkpoint(
    begun,
):
    _, history, _ = begun
    assert [r["step"] for r in history if "loss" in r][:3] == [1, 2, 3]
    assert "phase" in history[0]


def test_a_validation_an_epoch(begun):
    made, history, _ = begun
    epoch = made.phase_data[0].steps_per_epoch
    assert 2 < epoch < LAST_STEP
    steps = {r["step"] for r in history if "val_loss" in r}
    due = set(range(epoch, LAST_STEP + 1, epoch))
    assert steps == due | {LAST_STEP}


def test_a_lowered_loss_scale_is_told(text, tmp_path, monkeypatch, capsys):
    from gpt3_keras.models import objective

    losses = objective.loss_sums

    def spoilt(backbone, x, *arguments, **options):
        sums = losses(backbone, x, *arguments, **options)
        if not options:  # An evaluation.
            return sums
        # Beyond float16 at the first scale, and well within it at the next.
        return {**sums, "objective": sums["objective"] * 2.0**9}

    monkeypatch.setattr(objective, "loss_sums", spoilt)
    _, history = train(
        text, tmp_path / "run", "training.precision=mixed_float16", ONE_PHASE
    )
    scales = [r["loss_scale"] for r in history if "loss_scale" in r]
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if "the loss scale is now" in line]
    assert told
    assert told[0].startswith("step ")
    assert scales[-1] < 2.0**15
    assert all(np.isfinite(r["val_loss"]) for r in history if "val_loss" in r)
