"""Killed at any moment, a run goes on and ends with the same numbers."""

import signal
import time

import numpy as np
import pytest

from tests import sweep
from tests.training import processes

# Each variable against its own largest weight, or a tenth.
WEIGHT_TOLERANCE = 1e-5
LOSS_TOLERANCE = 2e-6

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tmp_path_factory, real_data):
    (novel, *_) = sorted(real_data("novels_en").glob("ENG18652*.txt"))
    return processes.write_config(tmp_path_factory.mktemp("text"), novel)


@pytest.fixture(scope="module")
def reference(config):
    """A run that nobody has disturbed."""
    folder = config.parent / "reference"
    processes.train(config, folder)
    return folder


def assert_bit_equal(folder, reference):
    expected, found = processes.weights(reference), processes.weights(folder)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert processes.history(folder) == processes.history(reference)


def assert_close(folder, reference):
    expected, found = processes.weights(reference), processes.weights(folder)
    for name, value in expected.items():
        scale = max(np.abs(value).max(), 0.1)
        error = np.abs(found[name] - value).max() / scale
        assert error < WEIGHT_TOLERANCE, name
    records = zip(
        processes.history(folder), processes.history(reference), strict=True
    )
    for record, expected in records:
        losses = {k: v for k, v in expected.items() if k.endswith("loss")}
        found = {name: record[name] for name in losses}
        assert found == pytest.approx(losses, rel=LOSS_TOLERANCE)


@pytest.mark.parametrize("num_kills", [1, sweep.case(20)])
def test_killed_and_resumed_is_never_killed(
    config, reference, tmp_path, num_kills
):
    generator = processes.generator(num_kills)
    folder = tmp_path / "run"
    kills = 0
    while kills < num_kills:
        process = processes.start(config, folder)
        processes.kill_soon(process, folder, generator)
        kills += 1
        if process.returncode == 0:  # It was faster, and had finished.
            assert_bit_equal(folder, reference)
            folder = tmp_path / f"run_{kills}"
    processes.train(config, folder)
    assert_bit_equal(folder, reference)


@sweep.IN_A_SWEEP
def test_replicas_micro_batches_and_compilation_change_nothing(
    config, reference, tmp_path
):
    """The same run, cut otherwise; only its training section names the cut."""
    folder = tmp_path / "run"
    processes.train(
        config,
        folder,
        "runtime.strategy=mirrored",
        "runtime.num_devices=3",
        "runtime.jit_compile=true",
        "training.micro_batches=2",
    )
    assert_close(folder, reference)


def test_a_job_that_loses_a_worker_goes_on(
    config, reference, tmp_path, free_ports
):
    folder = tmp_path / "run"
    ports = free_ports(2)
    with processes.job(config, folder, ports) as (chief, other):
        processes.wait_for_records(chief, folder, 6)
        other.kill()
        start_secs = time.monotonic()
        code, line = processes.finish(chief, 90)
        assert time.monotonic() - start_secs < 60
    assert code == 4, line
    assert line.startswith(
        "gpt3-keras train: error: A worker of the job is lost; start all of "
        "them again with the same command, which goes on from the last "
        "checkpoint. Received: "
    )
    before = processes.num_records(folder)
    assert before >= 6
    ports = free_ports(2)
    with processes.job(config, folder, ports) as job:
        codes = [processes.finish(process) for process in job]
    assert [code for code, _ in codes] == [0, 0], codes
    assert_close(folder, reference)


def test_workers_that_do_not_come_are_named(config, tmp_path, free_ports):
    ports = free_ports(2)
    more = ("runtime.startup_timeout_secs=12",)
    with processes.job(config, tmp_path / "run", ports, *more) as job:
        job[1].kill()
        code, line = processes.finish(job[0], 90)
    assert code == -signal.SIGKILL
    assert line.startswith(
        "gpt3-keras train: error: The workers of the job must all start "
        "within runtime.startup_timeout_secs. Received: "
    )
    assert f"127.0.0.1:{ports[1]}" in line
    assert not (tmp_path / "run").exists()
