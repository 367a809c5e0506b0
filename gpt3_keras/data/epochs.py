"""Rows of one epoch after the other, from any row on, as a dataset."""

import itertools

import tensorflow as tf

from gpt3_keras.data import generators

# Batches that are made while a step runs.
_NUM_PREFETCHED = 4


class Epochs:
    """The rows of all epochs, one after the other.

    Args:
        rows: function from an epoch to an iterable of its rows.
        num_rows: int, of an epoch, or None where nobody knows.
        num_epochs: int, or None for no end.
        first_row: int, how many rows are left out at the start.
        varies: bool, whether epochs may differ in how many rows they have.
    """

    def __init__(self, rows, num_rows, num_epochs, first_row, varies=False):
        self.rows = rows
        self.num_rows = num_rows
        self.num_epochs = num_epochs
        self.first_row = first_row
        self.varies = varies
        self.passes = itertools.count()

    def num_batches(self, batch_size):
        """How many batches come; None where nobody knows."""
        if self.num_epochs is None:
            return tf.data.INFINITE_CARDINALITY
        if self.num_rows is None or self.first_row:  # Only the first pass.
            return None
        return -(-self.num_rows * self.num_epochs // batch_size)

    def __iter__(self):
        """Yields the rows of one pass through the dataset."""
        epoch, last, skipped = 0, None, self.first_row
        if self.num_epochs is not None:
            epoch = next(self.passes) * self.num_epochs
            last = epoch + self.num_epochs
            skipped = 0 if epoch else self.first_row
        while last is None or epoch < last:
            if self.num_rows is not None:
                num_epochs, skipped = divmod(skipped, self.num_rows)
                epoch += num_epochs
                if last is not None and epoch >= last:
                    return
            num_rows = 0
            for row in self.rows(epoch):
                num_rows += 1
                if num_rows > skipped:
                    yield row
            if not self.varies:
                self.num_rows = num_rows
            skipped = max(skipped - num_rows, 0)
            epoch += 1


def as_dataset(
    epochs, make_batch, element_spec, batch_size, num_hosts=1, host=0
):
    """The dataset of batches of the rows that `epochs` gives.

    Args:
        epochs: an `Epochs`.
        make_batch: function of a list of rows.
        element_spec: what `make_batch` returns, as `tf.TensorSpec`s.
        batch_size: int, rows in a batch.
        num_hosts: int, how many processes share each batch out.
        host: int, which of them this one is.

    Returns:
        A `tf.data.Dataset`. The last batch may leave a host no row, but no
        host has fewer batches than another.
    """
    host_rows = batch_size // num_hosts

    def batches():
        rows = iter(epochs)
        while taken := list(itertools.islice(rows, batch_size)):
            yield make_batch(taken[host * host_rows :][:host_rows])

    dataset = tf.data.Dataset.from_generator(
        lambda: generators.Calls(batches()), output_signature=element_spec
    )
    num_batches = epochs.num_batches(batch_size)
    if num_batches is not None:
        dataset = dataset.apply(
            tf.data.experimental.assert_cardinality(num_batches)
        )
    options = tf.data.Options()
    # Nothing to share out by file: each worker takes its part of every batch.
    policy = tf.data.experimental.AutoShardPolicy
    options.experimental_distribute.auto_shard_policy = (
        policy.DATA if num_hosts == 1 else policy.OFF
    )
    # There is nothing to tune, and who drops an iterator waits for the tuner,
    # which in TensorFlow 2.20 sleeps for up to a minute.
    options.autotune.enabled = False
    return dataset.with_options(options).prefetch(_NUM_PREFETCHED)


def check_count(name, value, least):
    """Raises unless `value` is an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"{name} must be an int of at least {least}. Received: "
            f"{name}={value!r}."
        )


def check_hosts(batch_size, num_hosts, host):
    """Raises unless hosts can share batches out equally."""
    check_count("num_hosts", num_hosts, 1)
    check_count("host", host, 0)
    if batch_size % num_hosts:
        raise ValueError(
            "num_hosts must divide batch_size. Received: "
            f"num_hosts={num_hosts}, batch_size={batch_size}."
        )
    if host >= num_hosts:
        raise ValueError(
            "host must be below num_hosts. Received: "
            f"host={host}, num_hosts={num_hosts}."
        )
