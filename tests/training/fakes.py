"""A model and an optimizer of a few bytes, for the tests of checkpoints."""

import pathlib

import numpy as np


class FakeModel:
    """Saves files that say which number it was given."""

    def __init__(self, number):
        self.number = number

    def save_to_preset(self, folder):
        folder = pathlib.Path(folder)
        (folder / "assets").mkdir(parents=True)
        for path in (folder / "weights.bin", folder / "assets" / "words.txt"):
            with open(path, "w") as file:
                file.write(f"{self.number}\n" * 50)


class FakeVariable:
    """What of a Keras variable a checkpoint needs."""

    def __init__(self, path, value):
        self.path = path
        self.value = np.asarray(value)
        self.shape = self.value.shape
        self.dtype = self.value.dtype.name

    def __array__(self, dtype=None, copy=None):
        return np.array(self.value, dtype=dtype)

    def assign(self, value):
        self.value = value


class FakeOptimizer:
    """Variables that say which number it was given."""

    built = True

    def __init__(self, number):
        self.variables = [
            FakeVariable("fake/iteration", np.int64(number)),
            FakeVariable("fake/kernel_momentum", np.full((3, 4), number)),
        ]
