# `make run` and `make test` work in a fresh clone: each makes the environment that it needs.
VENV ?= .venv
DATA ?= $(or $(MINIGRAD_DATA),digits)
CUDA ?= cuda12
TESTS ?= tests
python := $(VENV)/bin/python

.PHONY: run gallery hunt test strict numba cuda-check page-check gpu gpu-driver lint types bench clean

run: $(VENV)/run
	$(python) -m experiments all --data $(DATA) --force

# All experiments, the long ones ten times as long
gallery: $(VENV)/numba
	$(python) -m experiments gallery --backend numba --data $(DATA) --force

# The rows of docs/hunt.md that are not there yet: all of them take less than half an hour
hunt: $(VENV)/numba
	OPENBLAS_NUM_THREADS=1 $(python) -m experiments hunt --backend numba

test: $(VENV)/test
	OPENBLAS_NUM_THREADS=1 $(python) -m pytest --numprocesses auto --dist loadgroup $(TESTS)

# The same, on a stand-in for CuPy
strict: $(VENV)/test
	MINIGRAD_BACKEND=strict OPENBLAS_NUM_THREADS=1 $(python) -m pytest --numprocesses auto --dist loadgroup $(TESTS)

# The same, with rules that numba compiles
numba: $(VENV)/numba
	MINIGRAD_BACKEND=numba OPENBLAS_NUM_THREADS=1 $(python) -m pytest --numprocesses auto --dist loadgroup $(TESTS)

# The kernels that a GPU would run, compiled for it and run on the CPU; needs no GPU
cuda-check: $(VENV)/cuda-check
	$(python) -c "import cupy"
	OPENBLAS_NUM_THREADS=1 $(python) -m pytest --numprocesses auto -rs tests/device/test_cuda.py tests/device/test_cuda_run.py

# The page in a real browser: the system's chromium, or one that Playwright downloads
page-check: $(VENV)/browser
	command -v chromium || $(python) -m playwright install chromium
	$(python) -m pytest -rs tests/page

# A device against NumPy; its report is what an issue needs
gpu: $(VENV)/$(CUDA)
	$(python) -m minigrad doctor --backend cupy
	@echo "The first time this compiles some 600 kernels, which takes minutes."
	$(python) -m pytest -m gpu -rA

# Whether there is a driver for $(CUDA), before gigabytes are downloaded for it
gpu-driver: $(VENV)/test
	$(python) -m minigrad doctor --extra $(CUDA)

$(VENV)/$(CUDA): | gpu-driver

lint: $(VENV)/dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(VENV)/dev
	$(VENV)/bin/mypy

bench: $(VENV)/bench
	$(python) -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# What is installed in $(VENV): the framework alone, or with the extra of that name
$(VENV)/run: extra = .
$(VENV)/test: extra = .[test]
$(VENV)/numba: extra = .[test,numba]
$(VENV)/cuda-check: extra = .[test,cuda-check]
$(VENV)/browser: extra = .[browser]
$(VENV)/dev: extra = .[dev]
$(VENV)/bench: extra = .[bench]
$(VENV)/$(CUDA): extra = .[test,$(CUDA)]
$(VENV)/run $(VENV)/test $(VENV)/numba $(VENV)/cuda-check $(VENV)/browser $(VENV)/dev $(VENV)/bench $(VENV)/$(CUDA): pyproject.toml
	test -x $(python) || python3 -m venv $(VENV)
	$(python) -m pip install --quiet --disable-pip-version-check --editable '$(extra)'
	touch $@
