"""README's table of performance is what the benchmarks wrote."""

import json

import pytest

from tests import performance_table
from tests import rooms


def test_readme_has_the_table():
    readme = (rooms.ROOT / "README.md").read_text("utf-8")
    assert performance_table.table() in readme


@pytest.mark.parametrize(
    "path",
    sorted(performance_table.RESULTS.glob("*.jsonl")),
    ids=lambda path: path.stem,
)
def test_each_figure_has_what_a_reader_needs(path):
    for line in path.read_text("utf-8").splitlines():
        figure = json.loads(line)
        assert {"name", "value", "unit", "peer", "ratio"} <= figure.keys()
