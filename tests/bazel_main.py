"""bazel's way into pytest: the arguments are the target's test file."""

import sys

import pytest

sys.exit(pytest.main(sys.argv[1:]))
