"""Variables in a file: every bit, and only into the variables they were."""

import json
import re
import struct

import numpy as np
import pytest

from gpt3_keras.training import tensor_file
from gpt3_keras.training.tensor_file import TensorFile
from tests.training.fakes import FakeVariable

DTYPES = [
    *("bfloat16", "float16", "float32", "float64", "bool"),
    *("int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
]


def saved(path, *variables):
    """A file of (path, value) pairs."""
    variables = [FakeVariable(*variable) for variable in variables]
    tensor_file.save(path, variables, {"optimizer": "Fake"})
    return TensorFile(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.safetensors"


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4)])
def test_every_dtype_keeps_its_bits(path, shape):
    generator = np.random.default_rng(0)
    values = []
    for dtype in map(np.dtype, DTYPES):
        size = int(np.prod(shape)) * dtype.itemsize
        data = generator.bytes(size)  # With NaNs of all kinds among them.
        if dtype.name == "bool":
            data = bytes(x & 1 for x in data)
        values.append(np.frombuffer(data, dtype).reshape(shape))
    file = saved(path, *((f"o/{x.dtype.name}", x) for x in values))
    found = [
        FakeVariable(f"o/{x.dtype.name}", np.zeros_like(x)) for x in values
    ]
    assert file.find_differences(found) == []
    file.assign_to(found)
    for variable, value in zip(found, values, strict=True):
        assert variable.value.dtype == value.dtype
        assert variable.value.shape == value.shape
        assert variable.value.tobytes() == value.tobytes()


def test_the_layout_is_that_of_safetensors(path):
    saved(path, ("o/a", np.int64(7)), ("o/b", np.ones((1, 2), "float16")))
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length]) == {
        "__metadata__": {"optimizer": "Fake"},
        "00000:o/a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
        "00001:o/b": {"dtype": "F16", "shape": [1, 2], "data_offsets": [8, 12]},
    }
    assert content[8 + length :] == bytes([7, *[0] * 7, 0, 60, 0, 60])


@pytest.mark.parametrize(
    ("path_here", "value_here", "difference"),
    [
        ("adam_1/block_3_kernel", np.zeros((2, 3), "float32"), None),
        (
            "adam/block_0_bias",
            np.zeros((2, 3), "float32"),
            "adam/block_0_kernel in the checkpoint, adam/block_0_bias here",
        ),
        (
            "adam/block_0_kernel",
            np.zeros((3, 2), "float32"),
            "adam/block_0_kernel: float32 (2, 3) in the checkpoint, float32 "
            "(3, 2) here",
        ),
        (
            "adam/block_0_kernel",
            np.zeros((2, 3), "float16"),
            "adam/block_0_kernel: float32 (2, 3) in the checkpoint, float16 "
            "(2, 3) here",
        ),
    ],
)
def test_what_differs_is_named(path, path_here, value_here, difference):
    file = saved(path, ("adam/block_0_kernel", np.ones((2, 3), "float32")))
    found = file.find_differences([FakeVariable(path_here, value_here)])
    assert found == ([] if difference is None else [difference])


def test_another_number_of_variables_is_named(path):
    file = saved(path, ("o/a", np.int64(7)))
    difference = "variables: 1 in the checkpoint, 0 here"
    assert file.find_differences([]) == [difference]


def test_integers_of_another_width_are_read_if_they_fit(path):
    file = saved(path, ("o/iteration", np.int64(2**31 - 1)))
    here = FakeVariable("o/iteration", np.int32(0))
    assert file.find_differences([here]) == []
    file.assign_to([here])
    assert here.value == 2**31 - 1
    assert here.value.dtype == np.int32
    file = saved(path, ("o/iteration", np.int64(2**31)))
    (difference,) = file.find_differences([here])
    assert (
        difference == "o/iteration: int64 () in the checkpoint, int32 () here"
    )


def test_a_dtype_without_a_name_is_refused(path):
    message = "Received: o/z of dtype=complex64."
    variable = FakeVariable("o/z", np.complex64(1))
    with pytest.raises(ValueError, match=re.escape(message)):
        tensor_file.save(path, [variable], {})
    assert not path.exists()


def test_bytes_are_counted():
    variables = [
        FakeVariable("o/a", np.zeros((3, 4), "float16")),
        FakeVariable("o/b", np.int64(0)),
    ]
    assert tensor_file.num_bytes(variables) == 32
