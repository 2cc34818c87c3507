# make run: the whole pipeline, then the report on it, also where the run failed; make test: the test suite.
# Both first set up .venv, which needs Python 3.10 or later.
PYTHON ?= python3
# Scripts on Windows, bin elsewhere
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: run test style types bench clean

run: .venv/installed
	@$(BIN)/luigi --module tasks PlotAll --local-scheduler; code=$$?; $(BIN)/neuroluigi report; exit $$code

test: .venv/installed-tests
	$(BIN)/python -m pytest

style: .venv/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mh_style matlab neuroluigi
	$(BIN)/mh_lint matlab neuroluigi
	$(BIN)/mh_metric --ci matlab neuroluigi

# To be part of style as soon as it is clean: style: types
types: .venv/installed-tests
	$(BIN)/mypy --platform linux
	$(BIN)/mypy --platform darwin
	$(BIN)/mypy --platform win32

bench: .venv/installed-tests $(if $(PEERS),.venv-peers/installed)
	$(BIN)/python benchmarks/bench.py $(if $(QUICK),--quick) $(if $(PEERS),--peers)

clean:
	rm -rf .venv .venv-peers

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

# Other systems, for make bench PEERS=1: apart, so that what they need does not mix with what ours needs.
.venv-peers/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-peers
	$(subst .venv,.venv-peers,$(BIN))/python -m pip install --quiet --disable-pip-version-check \
	  snakemake signac-flow doit --editable .
	@touch $@
