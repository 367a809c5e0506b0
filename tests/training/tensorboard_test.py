"""What TensorBoard itself reads from what was written for it."""

import contextlib
import io
import resource
import signal
import time

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import image
from tensorboard.backend.event_processing import plugin_event_accumulator

from gpt3_keras.training import tensorboard as tensorboard_module
from gpt3_keras.training.tensorboard import TensorBoardWriter


def window(step, **values):
    return {
        "phase": "all",
        "step": step,
        "learning_rate": 0.5,
        "gradient_norm": 2.0,
        "loss": 10.0 - step,
        "pointer_loss": 0.25,
        "perplexity": 8.0,
        "tokens_per_sec": 1234.0,
        **values,
    }


def validation(step, **values):
    return {
        "phase": "all",
        "step": step,
        "val_loss": 20.0 - step,
        "val_pointer_loss": 0.75,
        "val_perplexity": 9.0,
        **values,
    }


def read(folder, run):
    """A run as TensorBoard's server has it, every point of it kept."""
    keep_all = {plugin_event_accumulator.TENSORS: 0}
    made = plugin_event_accumulator.EventAccumulator(
        str(folder / run), keep_all
    )
    return made.Reload()


def curves(folder, run):
    """{tag: {step: value}}; a step that is there twice fails."""
    events = read(folder, run)
    found = {}
    for tag in events.Tags()["tensors"]:
        points = events.Tensors(tag)
        found[tag] = {p.step: tf.make_ndarray(p.tensor_proto) for p in points}
        assert len(found[tag]) == len(points), (tag, points)
    return found


def texts(folder, tag):
    found = curves(folder, "validation")[tag]
    return {step: value.item().decode() for step, value in found.items()}


def wait_for_next_second():
    """Event files are read in the order of their names, which tell seconds."""
    time.sleep(1.0 - time.time() % 1.0 + 0.01)


def test_training_and_validation_share_their_charts(tmp_path):
    with TensorBoardWriter(tmp_path) as board:
        board(window(2))
        board(window(4, epoch=0.5))
        board(validation(4))
    train, held_out = (curves(tmp_path, x) for x in ("train", "validation"))
    assert train == {
        "loss/objective": {2: 8.0, 4: 6.0},
        "loss/pointer": {2: 0.25, 4: 0.25},
        "quality/perplexity": {2: 8.0, 4: 8.0},
        "speed/tokens_per_sec": {2: 1234.0, 4: 1234.0},
        "training/learning_rate": {2: 0.5, 4: 0.5},
        "training/gradient_norm": {2: 2.0, 4: 2.0},
        "training/epoch": {4: 0.5},
    }
    assert held_out == {
        "loss/objective": {4: 16.0},
        "loss/pointer": {4: 0.75},
        "quality/perplexity": {4: 9.0},
    }


def test_what_is_written_can_be_read_at_once(tmp_path):
    with TensorBoardWriter(tmp_path) as board:
        board(window(2))
        assert curves(tmp_path, "train")["loss/objective"] == {2: 8.0}


def test_a_text_is_shown_as_it_is(tmp_path):
    with TensorBoardWriter(tmp_path) as board:
        board.text(3, "sample", "# Not a title\n\n* no list, é")
    assert texts(tmp_path, "sample") == {
        3: "    # Not a title\n    \n    * no list, é\n"
    }


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_picture_keeps_its_pixels(tmp_path, as_bytes):
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), "uint8")
    path = tmp_path / "picture.png"
    image.imsave(path, pixels)
    with TensorBoardWriter(tmp_path) as board:
        board.image(3, "pointer", path.read_bytes() if as_bytes else path)
    (picture,) = curves(tmp_path, "validation")["pointer"].values()
    width, height, png = picture
    assert (int(width), int(height)) == (7, 5)
    found = image.imread(io.BytesIO(png))[..., :3]
    np.testing.assert_allclose(found, pixels / 255, atol=1e-6)


def test_what_is_no_picture_is_an_error(tmp_path):
    with TensorBoardWriter(tmp_path) as board:
        with pytest.raises(tf.errors.InvalidArgumentError):
            board.image(3, "pointer", b"no PNG")
        with pytest.raises(FileNotFoundError):
            board.image(3, "pointer", tmp_path / "nowhere.png")


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_run_that_goes_on_makes_no_point_twice(tmp_path, is_cut_off):
    with TensorBoardWriter(tmp_path) as board:
        for step in range(1, 7):
            board(window(step))
            board(validation(step))
            board.text(step, "sample", "old")
    if is_cut_off:
        for path in tmp_path.glob("*/*"):
            path.write_bytes(path.read_bytes()[:-5])
    wait_for_next_second()
    with TensorBoardWriter(tmp_path, first_step=3) as board:
        for step in range(4, 6):
            board(window(step, loss=100.0))
            board(validation(step, val_loss=200.0))
            board.text(step, "sample", "new")
    assert curves(tmp_path, "train")["loss/objective"] == {
        1: 9.0,
        2: 8.0,
        3: 7.0,
        4: 100.0,
        5: 100.0,
    }
    held_out = curves(tmp_path, "validation")["loss/objective"]
    assert held_out == {1: 19.0, 2: 18.0, 3: 17.0, 4: 200.0, 5: 200.0}
    assert [*texts(tmp_path, "sample").values()] == [
        *["    old\n"] * 3,
        *["    new\n"] * 2,
    ]


def test_a_run_that_begins_again_has_no_old_points(tmp_path):
    with TensorBoardWriter(tmp_path) as board:
        board(window(2))
    wait_for_next_second()
    with TensorBoardWriter(tmp_path) as board:
        board(window(1))
    assert curves(tmp_path, "train")["loss/objective"] == {1: 9.0}


@contextlib.contextmanager
def full_disk(num_bytes):
    """No file of this process can become larger."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_once_and_training_goes_on(tmp_path, capsys):
    picture = io.BytesIO()
    image.imsave(picture, np.zeros((5, 7)))
    with TensorBoardWriter(tmp_path) as board:
        board(window(1))
        capsys.readouterr()
        with full_disk(2_000):
            for step in range(2, 40):
                board(window(step))
                board(validation(step))
                board.text(step, "sample", "text" * 1000)
                board.image(step, "pointer", picture.getvalue())
        board(window(50))
    written = capsys.readouterr().err.splitlines()
    told = [line for line in written if line.startswith("TensorBoard's files")]
    assert len(told) == 1
    assert f"in {tmp_path} cannot be written; training goes on" in told[0]
    assert "File too large" in told[0]
    points = curves(tmp_path, "train")["loss/objective"]
    assert points[1] == 9.0
    assert 50 not in points


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path, capsys):
    (tmp_path / "file").touch()
    with TensorBoardWriter(tmp_path / "file") as board:
        board(window(1))
        board.text(1, "sample", "text")
    written = capsys.readouterr().err
    assert written.count("cannot be written; training goes on") == 1


def test_another_error_is_not_swallowed(tmp_path, monkeypatch):
    def break_down(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(tensorboard_module.tf.summary, "scalar", break_down)
    board = TensorBoardWriter(tmp_path)
    with board, pytest.raises(ZeroDivisionError):
        board(window(1))
