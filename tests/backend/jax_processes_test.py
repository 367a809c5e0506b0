"""Two JAX processes on this machine train as one does.

Minutes of compiling: with GPT3_KERAS_SWEEP=1 alone.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import rooms

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="jax is not installed"
    ),
    pytest.mark.skipif(
        not os.environ.get("GPT3_KERAS_SWEEP"), reason="GPT3_KERAS_SWEEP=1"
    ),
]


def start(num_processes, index, port, path):
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.backend.jax_processes_run"),
            *map(str, (num_processes, index, port, path)),
        ],
        cwd=rooms.ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_are_one(tmp_path):
    port = free_port()
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
