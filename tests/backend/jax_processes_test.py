"""Two JAX processes on this machine train as one does.

Minutes of compiling: with GPT3_KERAS_SWEEP=1 alone.
"""

import json

import numpy as np
import pytest

from tests import sweep
from tests.backend import processes

pytestmark = [pytest.mark.slow, processes.NEEDS_JAX, sweep.IN_A_SWEEP]


def start(*arguments):
    module = "tests.backend.jax_processes_run"
    return processes.start("jax", "-m", module, *arguments)


def test_two_processes_are_one(tmp_path, free_ports):
    (port,) = free_ports(1)
    jobs = [
        start(2, index, port, tmp_path / f"two_{index}.json")
        for index in range(2)
    ]
    try:
        assert [job.wait(timeout=400) for job in jobs] == [0, 0]
    finally:
        for job in jobs:
            job.kill()
    assert start(1, 0, port, tmp_path / "one.json").wait(timeout=400) == 0
    one, *two = (
        json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
        for name in ("one", "two_0", "two_1")
    )
    assert one["num_replicas"] == 1
    for figures in two:
        assert figures["num_replicas"] == 2
        np.testing.assert_allclose(figures["losses"], one["losses"], rtol=1e-5)
        for path, weights in one["weights"].items():
            np.testing.assert_allclose(
                figures["weights"][path], weights, atol=1e-5, err_msg=path
            )
    assert [figures["is_chief"] for figures in two] == [True, False]
