"""What every test may use: quiet TensorFlow, and the real texts."""

import contextlib
import gc
import importlib.util
import os
import pathlib
import socket

import pytest

# Before TensorFlow is imported by anyone.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As the command line.
os.environ.setdefault("MPLBACKEND", "agg")

# What imports make stays: going through it costs a third of their time.
gc.disable()

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pytest_ignore_collect(collection_path):
    """Look for doc examples in the package and in tests, not in scripts."""
    needs_harness = collection_path.name == "harness.py"
    if needs_harness and importlib.util.find_spec("lm_eval") is None:
        return True
    is_script = collection_path.suffix == ".py" and not (
        collection_path.name.endswith("_test.py")
    )
    return True if is_script else None


def pytest_collection_finish():
    gc.enable()


def pytest_collection_modifyitems(items):
    """Files with slow tests first: none is left to a single process at last.

    For `pytest -n 2 --dist loadfile --no-loadscope-reorder`.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def old_objects_stay():
    """The garbage collector looks at what the tests of a file make alone.

    All else is imports and what files before left to stay; going through it is
    most of what a collection takes, and Keras asks for many.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def untuned_input():
    """tf.data without its tuner, which in TensorFlow 2.20 sleeps for up to a
    minute while who drops an iterator waits for it.
    """
    import tensorflow as tf

    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    iterate = tf.data.Dataset.__iter__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tf.data.Dataset,
            "__iter__",
            lambda dataset: iterate(dataset.with_options(untuned)),
        )
        yield


@pytest.fixture(scope="session")
def free_ports():
    """A function that finds so many ports of this machine nobody uses."""

    def find(number):
        with contextlib.ExitStack() as stack:
            sockets = [
                stack.enter_context(socket.socket()) for _ in range(number)
            ]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            return [each.getsockname()[1] for each in sockets]

    return find


@pytest.fixture(scope="session")
def real_data():
    """Path of a folder of real text, by name; skips where there is none.

    The folder of folders is `$GPT3_KERAS_DATA`, or `../shared/data` beside
    the checkout.
    """
    default = ROOT.parent / "shared" / "data"
    folder = pathlib.Path(os.environ.get("GPT3_KERAS_DATA", default))

    def find(name):
        path = folder / name
        if not path.exists():
            pytest.skip(
                f"real data {name!r} is absent: set GPT3_KERAS_DATA to the "
                "folder that holds it"
            )
        return path

    return find
