# Each target makes .venv when there is none, from the pinned
# requirements.lock. Nothing is needed but Python 3.11, pip and make.
#
#   make demo [TEXT=path] [OUTPUT=folder]    train, write, export on real text
#   make test [ARGS="tests/layers -x"]       the whole suite, on all cores
#   make check                               ruff, fast tests, doc examples
#   make bench [ARGS=--quick]                one JSON line per figure

PYTHON ?= $(firstword $(foreach name,python3.11 python3 python,$(shell \
	$(name) -c $(IS_SUPPORTED) 2>/dev/null && echo $(name))))
IS_SUPPORTED = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"
BIN = .venv/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

export KERAS_BACKEND ?= tensorflow
export TF_CPP_MIN_LOG_LEVEL ?= 3

.NOTPARALLEL:
.PHONY: demo test check lint bench install clean

demo: install
	$(BIN)/gpt3-keras demo $(if $(TEXT),--text "$(TEXT)") \
		$(if $(OUTPUT),--output "$(OUTPUT)")

test: install
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 \
		--dist loadfile $(ARGS)

check: lint
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: install
	@set -e; for script in tests/bench/*.py; do \
		echo "== $$script" >&2; $(BIN)/python "$$script" $(ARGS); \
	done

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(or $(PYTHON),false) -c $(IS_SUPPORTED) 2>/dev/null || { \
		echo "Python 3.11, 3.12 or 3.13 is needed. Received: PYTHON=$(or \
		$(PYTHON),none found)." >&2; exit 1; }
	@echo "Installing into .venv: 3.4 GB, a few minutes the first time." >&2
	@# Some systems ship Python without ensurepip; their pip then serves .venv.
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python .venv install --quiet pip; }
	@$(PIP_INSTALL) --requirement requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache
