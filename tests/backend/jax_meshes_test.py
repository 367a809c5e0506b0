"""JAX over eight devices: rows split, weights split, the same weights."""

import json

import numpy as np
import pytest

from tests import sweep
from tests.backend import processes

MESHES = sweep.cases(["8x1", "4x2", "2x4"], ["4x2"])
SPLIT = sweep.cases(["4x2", "2x4"], ["4x2"])

pytestmark = [pytest.mark.slow, processes.NEEDS_JAX]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("meshes") / "found.json"
    names = ("8x1", "4x2", "2x4") if sweep.IS_ON else ("4x2",)
    processes.run("jax", "-m", "tests.backend.jax_meshes_run", path, *names)
    return json.loads(path.read_text("utf-8"))


def test_training_learns(found):
    losses = found["off"]["1"]["losses"]
    assert losses[-1] < 0.9 * losses[0]


@sweep.IN_A_SWEEP
def test_parts_are_one_batch(found):
    _assert_same(found["off"]["2"], found["off"]["1"])


@pytest.mark.parametrize("mesh", MESHES)
def test_a_mesh_gives_the_weights_of_one_device(found, mesh):
    """Each device's rows in two parts, those of one device in one."""
    _assert_same(found[mesh]["2"], found["off"]["1"])


def _assert_same(figures, expected):
    np.testing.assert_allclose(figures["losses"], expected["losses"], rtol=1e-5)
    # Of rows that no mesh divides.
    np.testing.assert_allclose(
        figures["evaluated"], expected["evaluated"], rtol=1e-5
    )
    for path, weights in expected["weights"].items():
        np.testing.assert_allclose(
            figures["weights"][path], weights, atol=1e-5, err_msg=path
        )


@pytest.mark.parametrize("mesh", SPLIT)
def test_no_weight_is_silently_whole(found, mesh):
    """Each has a rule, lies as the rule says, and so do its moments."""
    num_parts = int(mesh.partition("x")[2])
    num_split = 0
    for path, lies in found[mesh]["shardings"].items():
        is_weight = not path.startswith("adam_w")
        if is_weight:
            assert lies["rule"] is not None, path
        moments = path.endswith(("_momentum", "_velocity"))
        if not (is_weight or moments):
            continue
        whole = "model" not in (lies["rule"] or lies["axes"])
        assert lies["share"] == (1 if whole else 1 / num_parts), path
        num_split += not whole
    assert num_split > 60


@pytest.mark.parametrize("mesh", SPLIT)
def test_the_head_is_not_gathered(found, mesh):
    """Nor the logits: no device ever has a whole row of the vocabulary."""
    shapes = [
        [int(size) for size in shape.split(",") if size]
        for shape in found[mesh]["gathered"]
    ]
    assert shapes
    assert not [shape for shape in shapes if 64 in shape]
