"""Variables in a file, bit by bit: the layout of safetensors.

```
8 bytes     the header's length, little-endian
header      JSON: {name: {"dtype", "shape", "data_offsets"}}, and metadata
data        the arrays one after the other, little-endian
```

Why this one: it is bytes and JSON, in which no code can hide; it has
bfloat16, which NumPy's own files lose; other programs and other backends read
it; and a full disk ends in an OSError, not, as in HDF5, in a crash.
"""

import json
import os
import re
import struct

import keras
import numpy as np

_CODES = {
    "bfloat16": "BF16",
    "bool": "BOOL",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
}
_DTYPES = {code: dtype for dtype, code in _CODES.items()}


def num_bytes(variables):
    """How many bytes the values of `variables` take."""
    return sum(_num_bytes(*_form(variable)) for variable in variables)


def save(path, variables, metadata):
    """Writes variables by their position and path.

    Args:
        path: of the file.
        variables: Keras variables.
        metadata: dict of strings, kept beside them.

    Raises:
        ValueError: if the format has no name for a variable's dtype.
    """
    header = {"__metadata__": metadata}
    end = 0
    for position, variable in enumerate(variables):
        dtype, shape = _form(variable)
        if dtype not in _CODES:
            raise ValueError(
                f"A variable's dtype must be one of {', '.join(_CODES)}. "
                f"Received: {variable.path} of dtype={dtype}."
            )
        start, end = end, end + _num_bytes(dtype, shape)
        header[f"{position:05d}:{variable.path}"] = {
            "dtype": _CODES[dtype],
            "shape": shape,
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for variable in variables:  # One copy at a time.
            value = keras.ops.convert_to_numpy(variable)
            file.write(np.ascontiguousarray(value).reshape(-1).view(np.uint8))


class TensorFile:
    """What `save` wrote.

    Args:
        path: of the file.
    """

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        self.metadata = header.pop("__metadata__")
        self._data_start = 8 + length
        self._entries = [
            (
                name.partition(":")[2],
                _DTYPES[entry["dtype"]],
                entry["shape"],
                entry["data_offsets"],
            )
            for name, entry in header.items()
        ]

    def find_differences(self, variables):
        """In words, why these are not the variables in the file.

        Numbers at the end of names do not count, as Keras numbers the
        optimizers and layers that a process makes; nor does the width of
        integers, which differs between backends, if the value fits.

        Returns:
            A list of strings, empty if the variables fit.
        """
        num_saved, num_here = len(self._entries), len(variables)
        if num_saved != num_here:
            return [
                f"variables: {num_saved} in the checkpoint, {num_here} here"
            ]
        differences = []
        with open(self.path, "rb") as file:
            for entry, variable in zip(self._entries, variables, strict=True):
                path, *saved = entry[:3]
                form = _form(variable)
                if _bare(path) != _bare(variable.path):
                    differences.append(
                        f"{path} in the checkpoint, {variable.path} here"
                    )
                elif saved != form and not self._fits(file, entry, form):
                    differences.append(
                        f"{path}: {_text(saved)} in the checkpoint, "
                        f"{_text(form)} here"
                    )
        return differences

    def _fits(self, file, entry, form):
        """Whether an integer keeps its value in another dtype."""
        (_, saved_dtype, saved_shape, _), (dtype, shape) = entry, form
        are_integers = "int" in saved_dtype and "int" in dtype
        if saved_shape != shape or not are_integers:
            return False
        value = self._read(file, entry)
        return np.array_equal(value.astype(dtype), value)

    def assign_to(self, variables):
        """Sets the variables that fit to what is in the file."""
        with open(self.path, "rb") as file:
            for entry, variable in zip(self._entries, variables, strict=True):
                value = self._read(file, entry)
                variable.assign(value.astype(_form(variable)[0], copy=False))

    def _read(self, file, entry):
        _, dtype, shape, (start, end) = entry
        file.seek(self._data_start + start, os.SEEK_SET)
        data = np.fromfile(file, np.uint8, end - start)
        return data.view(np.dtype(dtype)).reshape(shape)


def _form(variable):
    """[dtype, shape] of a variable, as JSON keeps it."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    return [dtype, [int(size) for size in variable.shape]]


def _num_bytes(dtype, shape):
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _bare(path):
    """A path without the optimizer's own name and without numbers."""
    return re.sub(r"_\d+(?=[_/]|$)", "", path.partition("/")[2])


def _text(form):
    dtype, shape = form
    return f"{dtype} ({', '.join(map(str, shape))})"
