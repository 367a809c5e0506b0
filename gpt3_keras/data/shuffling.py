"""Orders that are drawn from a seed and an epoch."""

from gpt3_keras.data import hashing


def file_order(keys, seed, epoch):
    """The places of files in the order of an epoch, whatever their listing.

    >>> file_order(["a", "b", "c"], seed=0, epoch=0)
    [0, 2, 1]
    >>> file_order(["a", "b", "c"], seed=0, epoch=1)
    [1, 2, 0]

    Args:
        keys: list of str.
        seed: int.
        epoch: int.

    Returns:
        A list of ints.
    """

    def draw(file):
        return hashing.name_hash(seed, epoch, keys[file]), keys[file]

    return sorted(range(len(keys)), key=draw)


def shuffle_rows(rows, buffer_size, seed, epoch):
    """Yields rows in another order, each drawn from a buffer of the next ones.

    >>> list(shuffle_rows(range(6), buffer_size=3, seed=0, epoch=0))
    [1, 2, 3, 0, 5, 4]

    Args:
        rows: iterable.
        buffer_size: int, how many rows wait at a time.
        seed: int.
        epoch: int.
    """
    base = hashing.name_hash(seed, epoch, "rows")
    buffer, num_drawn = [], 0
    for row in rows:
        if len(buffer) < buffer_size:
            buffer.append(row)
            continue
        place = hashing.counter_hash(base, num_drawn) % buffer_size
        num_drawn += 1
        yield buffer[place]
        buffer[place] = row
    while buffer:
        place = hashing.counter_hash(base, num_drawn) % len(buffer)
        num_drawn += 1
        buffer[place], buffer[-1] = buffer[-1], buffer[place]
        yield buffer.pop()
