# make run: the whole pipeline, then the report on it, also where the run failed; make test: the test suite.
# Each target first sets up what it needs, in .venv; that needs Python 3.10 or later, on Windows also Git's sh on PATH.
PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
# The lowest Python that pyproject.toml allows
LOWEST_PYTHON ?= 3.10
# Scripts on Windows, bin elsewhere
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: run test torture test-lowest opinions style types docs bench clean

run: .venv/installed
	@$(BIN)/neuroluigi run; code=$$?; $(BIN)/neuroluigi report; exit $$code

test: .venv/installed-tests
	$(BIN)/python -m pytest

# All power cuts, kills, full disks and strange files of which the test suite tries a part, which takes an hour.
# NEUROLUIGI_SEED=N repeats a run.
torture: .venv/installed-tests
	NEUROLUIGI_TORTURE=1 $(BIN)/python -m pytest -n auto -rP tests/torture $(addsuffix /test_kills.py,tests/runner tests/engines) \
	  $(addprefix tests/results/,test_killed_commands.py test_full_disks.py test_strange_files.py)

# Tests of what the package uses of others, each of these in the lowest version that requirements.txt allows: Luigi's
# internals, scheduler, worker and luigid, click, rich, matplotlib, NumPy, jinja2, Pillow, psutil, filelock.
LOWEST_TESTS := $(addprefix tests/,runner/test_luigi_internals.py runner/test_patches.py runner/test_scheduler.py \
  runner/test_luigid_scheduler.py runner/test_result_pipes.py runner/test_command_line.py steps/test_spawn.py \
  steps/test_parameters.py steps/test_base.py steps/test_discovery.py \
  steps/test_plain_luigi.py steps/test_settings_file.py steps/test_lab_folder.py steps/test_lab_code.py \
  runner/test_build.py cli/test_main.py results/test_table.py results/report/test_numbers.py \
  results/report/test_charts.py provenance/test_commit.py signals/test_lines.py signals/test_ttl.py \
  $(addprefix signals/test_,$(addsuffix .py,plotting blocks picture png traces rates depth raster intervals waveforms spectrum)) \
  ephys/test_ready_made.py)

test-lowest: .venv-lowest/installed
	$(subst .venv,.venv-lowest,$(BIN))/python -m pytest $(LOWEST_TESTS)

# Spikes, lines and beats as SpikeInterface, MNE and wfdb find them; what SpikeInterface, phylib and pynapple read of ours.
opinions: .venv-opinions/installed
	$(subst .venv,.venv-opinions,$(BIN))/python -m pytest -n 0 tests/signals/test_second_opinions.py \
	  tests/signals/test_sorted_units.py tests/ephys/test_handover.py tests/ephys/test_curated.py \
	  tests/notebook/test_readers.py

style: types .venv/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mh_style matlab neuroluigi
	$(BIN)/mh_lint matlab neuroluigi
	$(BIN)/mh_metric --ci matlab neuroluigi
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: $(addprefix types-,linux darwin win32)

types-%: .venv/installed-tests
	$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$*

docs: .venv/installed
	$(BIN)/python docs/generate.py

bench: .venv/installed-tests $(if $(PEERS),.venv-peers/installed)
	$(BIN)/python benchmarks/bench.py $(if $(QUICK),--quick) $(if $(PEERS),--peers)

clean:
	rm -rf .venv .venv-lowest .venv-peers .venv-opinions

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# By uv, in a fifth of the time.
.venv/installed-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python .venv --compile-bytecode --editable '.[test]'
	@touch $@

# uv takes the lowest Python that it finds, pyenv's included, or downloads it. Luigi comes first, because two packages
# have a script of that name, and ours has to stay.
.venv-lowest/installed: requirements.txt pyproject.toml .venv/installed-tests
	@PYENV_VERSION=$$(pyenv latest $(LOWEST_PYTHON) 2>/dev/null) \
	  $(BIN)/uv venv --quiet --clear --python $(LOWEST_PYTHON) .venv-lowest || { \
	  echo "make test-lowest: needs Python $(LOWEST_PYTHON), which uv neither finds nor can download; install it," \
	    "or give a later one: make test-lowest LOWEST_PYTHON=3.11" >&2; exit 1; }
	$(BIN)/uv pip install --quiet --python .venv-lowest --compile-bytecode --resolution lowest-direct --requirement requirements.txt
	$(BIN)/uv pip install --quiet --python .venv-lowest --compile-bytecode --editable . pytest pytest-xdist hypothesis
	@touch $@

# Other systems, for make bench PEERS=1: apart, so that what they need does not mix with what ours needs.
.venv-peers/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-peers
	$(subst .venv,.venv-peers,$(BIN))/python -m pip install --quiet --disable-pip-version-check \
	  snakemake signac-flow doit 'spikeinterface>=0.105' scipy --editable .
	@touch $@

# What make opinions compares with: they need much, and nothing else needs them. The figures in the tests are those of
# these versions.
.venv-opinions/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-opinions
	$(subst .venv,.venv-opinions,$(BIN))/python -m pip install --quiet --disable-pip-version-check \
	  'spikeinterface==0.105.3' 'phylib==2.7.1' 'pynapple>=0.11' pandas scipy 'mne>=1.13' 'wfdb>=4.3' pytest pytest-xdist hypothesis --editable .
	@touch $@
