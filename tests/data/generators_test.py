"""A process ends, whatever of its datasets has been read by then."""

import subprocess
import sys

import pytest

from tests import rooms

SCRIPT = """
import time
import tensorflow as tf
from gpt3_keras.data import epochs

def rows(epoch):
    for row in range(1000):
        time.sleep({row_secs})
        yield row

def make_batch(rows):
    return rows

def dataset():
    return epochs.as_dataset(
        epochs.Epochs(rows, None, None, 0),
        make_batch,
        tf.TensorSpec((None,), "int32"),
        batch_size=2,
    ).prefetch(2)

batches = [iter(dataset()) for _ in range({num_datasets})]
for each in batches:
    print(next(each).numpy().tolist())
{end}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_datasets", "row_secs", "end", "code"),
    [
        (1, 0, "", 0),
        # Rows that come slowly: a call is on its way at the end.
        (1, 0.2, "", 0),
        (2, 0.2, "raise ValueError(2)", 1),
    ],
)
def test_a_process_ends_with_a_dataset_half_read(
    num_datasets, row_secs, end, code
):
    script = SCRIPT.format(
        row_secs=row_secs, num_datasets=num_datasets, end=end
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        cwd=rooms.ROOT,
        timeout=120,
    )
    assert done.stdout == "[0, 1]\n" * num_datasets
    assert done.returncode == code, done.stderr
    assert ("Error" in done.stderr) == bool(end)
