"""Cases that say no more than others do, run with GPT3_KERAS_SWEEP=1 alone."""

import os

import pytest

IS_ON = os.environ.get("GPT3_KERAS_SWEEP") == "1"
IN_A_SWEEP = pytest.mark.skipif(not IS_ON, reason="GPT3_KERAS_SWEEP=1")


def case(*values):
    """A case of a parametrised test that waits for a sweep."""
    return pytest.param(*values, marks=IN_A_SWEEP)


def cases(values, kept):
    """Values of a parametrised test; those that are not kept wait."""
    return [value if value in kept else case(value) for value in values]
