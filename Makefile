# Each target makes .venv when there is none, from the pinned
# requirements.lock. Nothing is needed but Python 3.11, pip and make.
#
#   make demo [TEXT=path] [OUTPUT=folder]    train, write, export on real text
#   make test [ARGS="tests/layers -x"]       the whole suite, on all cores;
#                                            GPT3_KERAS_SWEEP=1: every case
#   make check                               ruff, fast tests, doc examples
#   make bazel-test [ARGS=--config=slow]     bazel: builds //..., fast tests
#   make bench [ARGS=--quick] [RESULTS=tests/bench/results]
#                                            speed and memory, a JSON line a
#                                            figure, kept in a folder if asked
#   make torch                               adds PyTorch, KERAS_BACKEND=torch
#   make tpu-check [CONFIG=configs/X.yaml]   compiles JAX's step for TPUs
#   make tpu-check-tensorflow [CONFIG=...]   and TensorFlow's

PYTHON ?= $(firstword $(foreach name,python3.11 python3 python,$(shell \
	$(name) -c $(IS_SUPPORTED) 2>/dev/null && echo $(name))))
IS_SUPPORTED = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"
BIN = .venv/bin
BAZEL ?= bazel
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

export KERAS_BACKEND ?= tensorflow
export TF_CPP_MIN_LOG_LEVEL ?= 3

CONFIG ?= configs/tpu_v5e_8.yaml
# Those of speed and memory. The others train for longer: see tests/bench.
BENCHES = recurrence train_step growth generate data_pipeline input_share \
	startup evaluation
TORCH_VERSION = 2.13.0
LIBTPU_VERSION = 0.0.42.1
LAYERED = "import site; print(*site.getsitepackages(), '$(CURDIR)', sep='\n')"

.NOTPARALLEL:
.PHONY: demo test check lint bazel-test torch tpu-check tpu-check-tensorflow \
	bench install clean

demo: install
	$(BIN)/gpt3-keras demo $(if $(TEXT),--text "$(TEXT)") \
		$(if $(OUTPUT),--output "$(OUTPUT)")

test: install
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder $(ARGS)

check: lint
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bazel-test:
	@command -v "$(BAZEL)" >/dev/null || { echo "bazel is needed, such as \
	Debian's bazel-bootstrap. Received: BAZEL=$(BAZEL)." >&2; exit 2; }
	@$(MAKE) --no-print-directory install
	PATH="$(CURDIR)/$(BIN):$$PATH" "$(BAZEL)" test $(ARGS) //...

# PyPI's PyTorch brings CUDA, several GB; the lock does without.
torch: install
	$(PIP_INSTALL) torch==$(TORCH_VERSION)

tpu-check: .venv-tpu/installed
	.venv-tpu/bin/python tpu/compile_check.py --config $(CONFIG) $(ARGS)

# libtpu beside .venv's packages, not among them: JAX would look for a TPU.
.venv-tpu/installed: .venv/installed
	@$(BIN)/python -m venv --without-pip .venv-tpu
	@$(BIN)/python -c $(LAYERED) > "$$(echo .venv-tpu/lib/python3*/site-packages)/layer.pth"
	@$(BIN)/python -m pip --python .venv-tpu install --quiet --no-deps \
		--disable-pip-version-check libtpu==$(LIBTPU_VERSION)
	@touch $@

tpu-check-tensorflow: .venv-tpu/installed .venv-tpu-tensorflow/installed
	.venv-tpu/bin/python tpu/compile_check.py --backend tensorflow \
		--config $(CONFIG) $(ARGS)

# Newer libtpus end this TensorFlow's process.
.venv-tpu-tensorflow/installed: .venv/installed
	@$(BIN)/python -m venv --without-pip .venv-tpu-tensorflow
	@$(BIN)/python -c $(LAYERED) > "$$(echo \
		.venv-tpu-tensorflow/lib/python3*/site-packages)/layer.pth"
	@$(BIN)/python -m pip --python .venv-tpu-tensorflow install --quiet \
		--no-deps --disable-pip-version-check libtpu==0.0.20 \
		tensorflow-tpu==2.20.0
	@touch $@

bench: SHELL := /bin/bash
bench: .SHELLFLAGS := -o pipefail -ec
bench: install
	@set -e; for name in $(BENCHES); do \
		echo "== tests/bench/$$name.py" >&2; \
		$(BIN)/python tests/bench/$$name.py $(ARGS) | \
			tee $(if $(RESULTS),$(RESULTS)/$$name.jsonl,/dev/null); \
	done

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(or $(PYTHON),false) -c $(IS_SUPPORTED) 2>/dev/null || { \
		echo "Python 3.11, 3.12 or 3.13 is needed. Received: PYTHON=$(or \
		$(PYTHON),none found)." >&2; exit 1; }
	@echo "Installing into .venv: 4.2 GB, a few minutes the first time." >&2
	@# Some systems ship Python without ensurepip; their pip then serves .venv.
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python .venv install --quiet pip; }
	@$(PIP_INSTALL) --requirement requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv .venv-tpu .venv-tpu-tensorflow build dist .pytest_cache .ruff_cache
