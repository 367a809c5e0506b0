"""One number, however the work is cut or spread: on real text, dropout on."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests import sweep

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of the variable's largest weight, or of 0.1: Adam divides small gradients by
# their own size, noise and all, and biases have but moved by 0.02 at most.
WEIGHT_TOLERANCE = 1e-5
LEAST_SIZE = 0.1
LOSS_TOLERANCE = 1e-6
# Both at once by default: replicas, and micro-batches of one row.
ONE_PROCESS = ("2x4", *(("1x2", "1x8", "2x1") if sweep.IS_ON else ()))
TIMEOUT_SECS = 900

pytestmark = pytest.mark.slow


def start(text, output, cuts, environment=()):
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.conformance.exact_run"),
            *(str(text), str(output), *cuts),
        ],
        cwd=ROOT,
        env={**os.environ, **dict(environment)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    """Waits for all; none outlives this."""
    try:
        for process in processes:
            _, errors = process.communicate(timeout=TIMEOUT_SECS)
            assert process.returncode == 0, errors[-2000:]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def start_job(text, output, ports, cuts):
    """The processes of a job, a worker for each port of this machine."""
    hosts = [f"127.0.0.1:{port}" for port in ports]
    return [
        start(
            text,
            output,
            cuts,
            {
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"worker": hosts},
                        "task": {"type": "worker", "index": i},
                    }
                )
            }.items(),
        )
        for i in range(len(ports))
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory, real_data, free_ports):
    """A folder with what every cut gave."""
    folder = tmp_path_factory.mktemp("exact")
    (novel,) = real_data("novels_en").glob("ENG18652*.txt")
    text = folder / "text.txt"
    text.write_text(novel.read_text("utf-8")[:60_000], encoding="utf-8")
    finish([start(text, folder, ("1x1", *ONE_PROCESS))])
    finish(start_job(text, folder, free_ports(2), ("1x2",)))
    if sweep.IS_ON:
        # Collectives of another size need a process of their own.
        finish([start(text, folder, ("4x1",))])
        finish(start_job(text, folder, free_ports(2), ("1x1",)))
        finish(start_job(text, folder, free_ports(4), ("1x1",)))
    return folder


def load(results, name):
    with np.load(results / f"{name}.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    "name",
    [
        *ONE_PROCESS,
        "worker_0_1x2",
        "worker_1_1x2",
        sweep.case("4x1"),
        sweep.case("worker_0_1x1"),
    ],
)
def test_the_cut_changes_nothing(results, name):
    expected, found = load(results, "1x1"), load(results, name)
    for key in ("losses", "report"):
        np.testing.assert_allclose(
            found.pop(key), expected.pop(key), rtol=LOSS_TOLERANCE
        )
    predictions = found.pop("predictions", None)
    expected_predictions = expected.pop("predictions")
    if predictions is not None:
        np.testing.assert_allclose(predictions, expected_predictions, atol=1e-4)
    assert found.keys() == expected.keys()
    for path, weight in expected.items():
        scale = max(np.abs(weight).max(), LEAST_SIZE)
        error = np.abs(found[path] - weight).max() / scale
        assert error < WEIGHT_TOLERANCE, path


def test_training_moves_far_more_than_the_tolerance(results):
    losses = load(results, "1x1")["losses"]
    assert len(losses) == 20
    assert losses[-1] < losses[0]
    assert np.ptp(losses) > 1e4 * LOSS_TOLERANCE


def test_all_workers_report_the_same(results):
    first, second = (load(results, f"worker_{i}_1x2") for i in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value, err_msg=name)
