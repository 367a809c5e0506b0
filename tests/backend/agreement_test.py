"""TensorFlow, JAX and PyTorch: the same numbers, the same text."""

import importlib.util

import keras
import numpy as np
import pytest

from tests import sweep
from tests.backend import agreement_run
from tests.backend import processes

OTHERS = ("jax", "torch")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="starts the other backends itself, from TensorFlow",
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each backend found; `None` for one that is not installed."""
    folder = tmp_path_factory.mktemp("agreement")
    ours = agreement_run.run(folder, [])
    results = {"tensorflow": ours}
    for number, name in enumerate(OTHERS):
        if importlib.util.find_spec(name) is None:
            results[name] = None
            continue
        others = [n for n in ("tensorflow", *OTHERS[:number]) if results[n]]
        module = "tests.backend.agreement_run"
        processes.run(name, "-m", module, folder, *others)
        with np.load(folder / f"{name}.npz") as arrays:
            results[name] = dict(arrays)
        ours.update(agreement_run.resume(folder, name))
    return results


@pytest.fixture(params=OTHERS)
def pair(request, found):
    """TensorFlow's figures and another backend's."""
    if found[request.param] is None:
        pytest.skip(f"{request.param} is not installed")
    return found["tensorflow"], found[request.param]


@pytest.mark.parametrize("of", ["gru", "lstm", "dialogues"])
def test_losses_and_gradients(pair, of):
    check_losses_and_gradients(*pair, of)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrences_by_one_operation(found, cell):
    if found["torch"] is None:
        pytest.skip("torch is not installed")
    check_losses_and_gradients(
        found["tensorflow"], found["torch"], cell, prefix="fused/"
    )


def check_losses_and_gradients(ours, theirs, of, prefix=""):
    np.testing.assert_allclose(
        theirs[f"{prefix}{of}/loss"], ours[f"{of}/loss"], rtol=1e-5
    )
    paths = [p for p in ours if p.startswith(f"{of}/gradient/")]
    assert len(paths) > 30
    for path in paths:
        largest = np.abs(ours[path]).max()
        assert largest > 0, path
        np.testing.assert_allclose(
            theirs[prefix + path],
            ours[path],
            atol=1e-4 * largest,
            err_msg=path,
        )


def test_micro_batches_are_one_batch(found):
    cut = {k: v for k, v in found.items() if v and "3/losses" in v}
    if not cut:
        pytest.skip("torch is not installed")
    for name, figures in cut.items():
        np.testing.assert_allclose(
            figures["3/losses"], figures["1/losses"], rtol=1e-5, err_msg=name
        )
        for path in figures:
            if path.startswith("1/weights/"):
                same = path.replace("1/", "3/", 1)
                np.testing.assert_allclose(
                    figures[same], figures[path], atol=1e-4, err_msg=path
                )


def test_training_runs_alike(pair):
    """Dropout included, for its masks are hashes."""
    ours, theirs = pair
    assert ours["1/losses"][-1] < 0.8 * ours["1/losses"][0]
    np.testing.assert_allclose(theirs["1/losses"], ours["1/losses"], rtol=1e-4)


@sweep.IN_A_SWEEP
def test_half_precision_follows_float32(found):
    """Dropout the same; float16 has eleven bits."""
    for name, figures in found.items():
        if figures is not None:
            np.testing.assert_allclose(
                figures["half/losses"],
                found["tensorflow"]["1/losses"][:4],
                rtol=1e-2,
                err_msg=name,
            )


def test_reading_and_writing(pair):
    ours, theirs = pair
    for name in ("evaluated", "log_probs", "score"):
        np.testing.assert_allclose(
            theirs[name], ours[name], rtol=1e-4, atol=1e-5, err_msg=name
        )
    np.testing.assert_array_equal(theirs["written"], ours["written"])


def test_checkpoints_move_between_backends(found):
    expected = found["tensorflow"]["next_loss"]
    num_moves = 0
    for figures in found.values():
        for name, losses in (figures or {}).items():
            if name.startswith("resumed/"):
                np.testing.assert_allclose(losses, expected, rtol=1e-4)
                num_moves += 1
    assert num_moves == (
        5 if all(found.values()) else num_moves
    )  # Both ways between TensorFlow and each, and from JAX to PyTorch.
