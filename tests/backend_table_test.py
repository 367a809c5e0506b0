"""README's table of backends says what the tests show."""

from tests import backend_table
from tests import rooms


def test_readme_has_the_table():
    readme = (rooms.ROOT / "README.md").read_text("utf-8")
    assert backend_table.table() in readme


def test_what_is_tested_has_a_test():
    for feature, *cells in backend_table.ROWS:
        assert len(cells) == len(backend_table.BACKENDS), feature
        for status, path in cells:
            is_tested = status == backend_table.TESTED
            assert is_tested == (path is not None), feature
            if is_tested:
                assert (rooms.ROOT / "tests" / path).exists(), path
