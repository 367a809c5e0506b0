"""The notebook runs top to bottom, tiny, on this processor."""

import json
import os

import pytest

from tests import rooms

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("jax")

NOTEBOOK = rooms.ROOT / "tpu" / "train_on_tpu.ipynb"
TINY = """
PACKAGE = "gpt3-keras[tpu]"
TEXT = None
HIDDEN_DIM = 16
NUM_LAYERS = 1
SEQUENCE_LENGTH = 24
BATCH_SIZE = 4
EPOCHS = 2
STEPS_PER_EPOCH = 2
VOCABULARY_SIZE = 300
SHOW_TENSORBOARD = False
"""


def test_it_carries_no_outputs():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Jupyter's own.
def test_it_runs_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{rooms.ROOT}{os.pathsep}{path}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (
        cell
        for cell in notebook.cells
        if "parameters" in cell.metadata.get("tags", ())
    )
    names = {line.split(" = ")[0] for line in TINY.split("\n") if line}
    assert names == {
        line.split(" = ")[0]
        for line in parameters.source.split("\n")
        if " = " in line
    }
    parameters.source = TINY
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    written = "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    assert "The " in written
    assert "The export is in" in written
    assert (tmp_path / "export/1/saved_model.pb").exists()
    assert (tmp_path / "gpt3_keras_model.zip").exists()
    assert (tmp_path / "model/model.weights.h5").exists()
