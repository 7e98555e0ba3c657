# The same few verbs everywhere. Each sets up what it needs in .venv; a machine with Python >= 3.11 is enough.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-all bench docs check audit lock format clean

setup: .venv/ready

# What the tests and checks need besides; pysteps, an oracle of the tests, is compiled and so needs a C compiler.
.venv/ready: .venv/ready-to-run
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

# torch first and pinned: an open requirement would draw a CUDA build of several gigabytes.
.venv/ready-to-run: pyproject.toml constraints.txt hatch_build.py $(wildcard src/framecast/kernels/native/*.[ch])
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "framecast needs Python 3.11 or newer; say make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[onnx]'
	touch $@

demo: .venv/ready-to-run
	$(BIN)/framecast demo

# a test that hangs in compiled code, where pytest-timeout cannot interrupt it, ends with its process
test: setup
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal --durations 20 -o faulthandler_timeout=660 -o faulthandler_exit_on_timeout=true

test-all: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

# hours for all of it; ARGS="--models predrnn --minutes 30" takes a part, and the same again goes on
bench: setup
	$(BIN)/framecast bench --opponent benchmarks.plain:build --out docs/performance.json --page docs/performance.md $(ARGS)

# build/docs/index.html opens from disk; ARGS="-b linkcheck" asks every address outside instead
docs: setup
	rm -rf docs/api/generated
	$(BIN)/python -m sphinx -W --keep-going -q -b html $(ARGS) docs build/docs

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/house/check_house.py
	$(BIN)/python tests/house/audit.py

# known vulnerabilities of what requirements.lock names; asks pypi.org
audit: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt pip-audit
	$(BIN)/python tests/house/audit.py --online

# requirements.lock: versions and hashes of all but torch; SECURITY.md says how it is installed
lock:
	$(PYTHON) tests/house/lock.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache docs/api/generated
