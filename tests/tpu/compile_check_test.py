"""The training step compiled for a TPU that is not there, tiny."""

import json
import shutil
import subprocess

import pytest

from tests import rooms

TINY = (
    "model.num_layers=1",
    "model.num_heads=2",
    "model.hidden_dim=128",
    "model.max_sequence_length=64",
    "data.sequence_length=64",
    "data.batch_size=32",
    "training.micro_batches=2",
    "runtime.rematerialize=false",
    "generation.max_new_tokens=8",
)
ENVIRONMENT = rooms.ROOT / ".venv-tpu" / "installed"


@pytest.fixture(scope="module")
def environment():
    """libtpu over this environment, as `make tpu-check` makes it."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    if not (rooms.ROOT / ".venv" / "installed").exists():
        pytest.skip("make has not made .venv")
    try:
        made = subprocess.run(
            ["make", str(ENVIRONMENT.relative_to(rooms.ROOT))],
            cwd=rooms.ROOT,
            capture_output=True,
            timeout=170,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("libtpu could not be installed in three minutes")
    if made.returncode:
        pytest.skip("libtpu could not be installed")


@pytest.mark.slow
def test_a_tiny_step_fits(environment, tmp_path):
    found = tmp_path / "report.json"
    settings = " ".join(f"--set {value}" for value in TINY)
    checked = subprocess.run(
        [
            *("make", "tpu-check", "CONFIG=configs/tpu_v5e_8.yaml"),
            f"ARGS={settings} --json {found}",
        ],
        cwd=rooms.ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert checked.returncode == 0, checked.stderr[-2000:]
    assert "2 micro-batches of 2 rows a chip" in checked.stdout
    assert "fits" in checked.stdout
    report = json.loads(found.read_text("utf-8"))
    assert report["topology"] == "v5e:2x4"
    (only,) = report["reports"]
    assert only["error"] is None
