# Two commands do all: `make run` shows dedupd at work, `make test` runs the whole suite. Each sets up .venv itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDER ?=
CUTS ?= 200
FUZZ_SECONDS ?= 300
KILLS ?= 300
STORM ?= 100000

.PHONY: run test test-systemd test-power test-kill test-storm fuzz check bench completions clean

# What is installed is remembered by stamps, so that a second call starts at once.
$(VENV)/run.stamp: pyproject.toml constraints.txt dedupd/imaging/_jpeg_eighth.c dedupd/imaging/_resize.c dedupd/sources/_dir_stats.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# The example library is made of photographs that come with scikit-image.
$(VENV)/example.stamp: $(VENV)/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt scikit-image
	touch $@

# Scans FOLDER (by default an example library made for the purpose), then watches it and shows a duplicate arriving.
run: $(if $(FOLDER),$(VENV)/run.stamp,$(VENV)/example.stamp)
	$(BIN)/python contrib/demo.py $(FOLDER)

test: $(VENV)/dev.stamp
	tests/system-packages || true
	$(BIN)/pytest

# Cuts the power of ext4 and XFS in files, CUTS times each for the flow and for a clean-up. Needs root and loop mounts.
test-power: $(VENV)/dev.stamp
	tests/system-packages || true
	$(BIN)/pytest tests/power --cuts $(CUTS)

# Kills the flow and the actor KILLS times each, and once at each step of a run; fails every system call of the store.
test-kill: $(VENV)/dev.stamp
	tests/system-packages || true
	DEDUPD_KILLS=$(KILLS) DEDUPD_EVERY_STEP=1 $(BIN)/pytest tests/crash -k 'sudden or every_step or failing_call or daemon'

# The units under a real systemd as PID 1 of its own namespaces; about three minutes, needs root, and says so where it cannot.
test-systemd: $(VENV)/dev.stamp
	tests/system-packages || true
	DEDUPD_TEST_SYSTEMD=1 $(BIN)/pytest -rs tests/systemd

# Storms of STORM files under a real daemon: as they come, with the event queue overflowing, and with 20 watches. Ten minutes.
test-storm: $(VENV)/dev.stamp
	tests/system-packages || true
	mkdir -p build && rm -f build/storm.txt
	DEDUPD_STORM_FILES=$(STORM) DEDUPD_STORM_FIGURES=build/storm.txt $(BIN)/pytest --timeout=0 -rs tests/system/test_storm.py
	cat build/storm.txt

$(VENV)/fuzz.stamp: $(VENV)/dev.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	touch $@

# Fuzzes each parser of bytes that others write, and decode workers with damaged pictures, FUZZ_SECONDS each. Findings end
# up in build/fuzz.
fuzz: $(VENV)/fuzz.stamp
	PYTHONPATH=tests:. $(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks

completions: $(VENV)/dev.stamp
	$(BIN)/python -m dedupd.cli.completions contrib/completions

clean:
	rm -rf $(VENV) build *.egg-info
