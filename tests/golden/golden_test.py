"""The figures of today are those of the golden files.

Where they should have changed: `python -m tests.golden.figures`.
"""

import numpy as np
import pytest

from tests.golden import figures


@pytest.mark.parametrize("name", figures.CHOICES)
def test_weight_paths(name):
    golden = figures.paths_file(name).read_text("utf-8").splitlines()
    assert figures.weight_paths(figures.CHOICES[name]) == golden


@pytest.mark.parametrize("name", figures.TRAINED)
def test_losses_of_ten_steps(name):
    header, *rows = figures.losses_file(name).read_text("utf-8").splitlines()
    assert header.split() == list(figures.COLUMNS)
    golden = [[float(value) for value in row.split()] for row in rows]
    losses = figures.ten_losses(figures.CHOICES[name])
    assert losses.shape == (10, len(figures.COLUMNS))
    # It learns, so that the figures depend on the gradients, too.
    assert losses[-1, 0] < losses[0, 0]
    np.testing.assert_allclose(losses, golden, rtol=1e-4, atol=1e-6)
