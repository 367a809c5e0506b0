"""What a compiled program moves between devices, read from its text."""

import math
import re

_COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "collective-permute",
    "all-to-all",
)
_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "pred": 1}


def collectives(hlo):
    """From each kind of collective to how many a program has, and bytes.

    Bytes are those of the results, once for each place in the program: what
    stands in a loop moves that much in every round.
    """
    found = {}
    kinds = "|".join(_COLLECTIVES)
    for line in hlo.splitlines():
        match = re.search(rf"= (.*?) ({kinds})(-start)?\(", line)
        if not match:
            continue
        num_bytes = 0
        for dtype, sizes in re.findall(r"(\w+)\[([\d,]*)\]", match[1]):
            shape = [int(size) for size in sizes.split(",") if size]
            num_bytes += _BYTES.get(dtype, 4) * math.prod(shape)
        number, total = found.get(match[2], (0, 0))
        found[match[2]] = number + 1, total + num_bytes
    return found
