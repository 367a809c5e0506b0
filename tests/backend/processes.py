"""Processes on another backend than this one's."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests import rooms

NEEDS_JAX = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)


def start(backend, *arguments, **options):
    """A Python process with some arguments, from the root of the project."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=rooms.ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "JAX_PLATFORMS": "cpu",
            # Programs that run a few times are not worth optimising.
            "XLA_FLAGS": "--xla_backend_optimization_level=0 "
            "--xla_llvm_disable_expensive_passes=true",
        },
        **options,
    )


def run(backend, *arguments):
    """Runs a Python process to its end, which must be a good one."""
    assert start(backend, *arguments).wait() == 0
