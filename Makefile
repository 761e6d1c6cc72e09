# `make run` and `make test` work in a fresh clone: each makes the environment that it needs.
VENV ?= .venv
DATA ?= digits
python := $(VENV)/bin/python

.PHONY: run test lint types bench clean

run: $(VENV)/run
	$(python) -m experiments all --data $(DATA) --force

test: $(VENV)/test
	OPENBLAS_NUM_THREADS=1 $(python) -m pytest --numprocesses auto

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
$(VENV)/dev: extra = .[dev]
$(VENV)/bench: extra = .[bench]
$(VENV)/run $(VENV)/test $(VENV)/dev $(VENV)/bench: pyproject.toml
	test -x $(python) || python3 -m venv $(VENV)
	$(python) -m pip install --quiet --disable-pip-version-check --editable '$(extra)'
	touch $@
