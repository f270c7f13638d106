# Everything from a fresh clone: `make check` before a commit, `make demo` to see it work, `make torture` to see it
# survive, `make check-peers` for other programs' use of our models. Needs Python 3.11+ and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
PEERS := .venv-peers
INSTALL := sh scripts/install.sh "$(PYTHON)" "$(VENV)" --constraint constraints.txt

.PHONY: check check-lowest check-peers check-portability check-wheel types types-darwin types-win32 torture demo bench \
	clean

# A file of tests stays in one process, whose fixtures it shares. Reordered, files of one long test would come last.
IN_PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --jobs 3 types types-darwin types-win32
	$(BIN)/lint-imports
	$(BIN)/pytest $(IN_PARALLEL)

types: $(VENV)/installed-dev
	$(BIN)/mypy --strict lstmlm

types-darwin: $(VENV)/installed-dev
	$(BIN)/mypy --strict --platform darwin --cache-dir .mypy_cache/darwin lstmlm

types-win32: $(VENV)/installed-dev
	$(BIN)/mypy --strict --platform win32 --no-warn-unreachable --cache-dir .mypy_cache/win32 lstmlm

# What a machine may lack, made on this one: instructions, cores, a compiler, rights, a locale. Some only root can make.
check-portability: $(VENV)/installed-dev
	$(BIN)/python tests/check_portability.py

# A wheel in an environment and a folder where nothing else is: what `pip install` gives people works.
check-wheel: $(VENV)/installed
	sh scripts/check_wheel.sh "$(PYTHON)" $(BIN)/pip

# The lowest versions that pyproject.toml admits, on the tests of what each library is used for. torch stays as it is
# pinned: its old releases bring gigabytes for GPUs along. docs/support.md says what all tests gave with its lowest, too.
check-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest $(IN_PARALLEL) \
		tests/config tests/yaml tests/contracts/test_config.py tests/test_dependencies.py \
		tests/cli/test_errors.py tests/cli/test_render.py tests/cli/test_surface.py tests/cli/test_inspect.py \
		tests/cli/test_train_generate_evaluate.py tests/checkpoint/test_tensor_file.py \
		tests/corpus/reading tests/corpus/store tests/corpus/tokenizers

# What other programs make of our models: transformers of the newest and of the oldest version that can be used, lm-eval,
# minicons, model_signing and more. They bring much along, so that they have an environment of their own. No test here
# needs a network; what is left out says what it lacks, such as a browser.
check-peers: $(PEERS)/installed $(PEERS)/transformers-4
	$(PEERS)/bin/python -m pytest tests/test_dependencies.py tests/test_without_posix.py::test_every_module_is_imported
	HF_HUB_OFFLINE=1 $(PEERS)/bin/python -m pytest $(IN_PARALLEL) -m "peer and not slow" \
		tests/export tests/serving tests/evaluation/proof tests/evaluation/rescoring
	PYTHONPATH=$(PEERS)/transformers-4 HF_HUB_OFFLINE=1 $(PEERS)/bin/python -m pytest -m peer \
		tests/export/test_huggingface.py

# Kills, full disks, losses of power, damaged and malicious files, by the thousand: says how many were survived. Then the
# tests that `make check` leaves out because they take long.
torture: $(VENV)/installed-dev
	cd tests && $(abspath $(BIN))/python -m torture --jobs 2
	$(BIN)/pytest -m slow tests

demo: $(VENV)/installed
	$(BIN)/lstmlm train --config configs/quickstart.yaml --resume
	$(BIN)/lstmlm generate "The function returns"
	$(BIN)/lstmlm eval perplexity

bench: $(VENV)/installed
	$(BIN)/lstmlm bench

clean:
	rm -rf $(VENV) $(LOWEST) $(PEERS) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# Stamps: what is installed is installed again only when the project's dependencies change.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(INSTALL) --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt
	@$(INSTALL) --editable '.[dev]'
	touch $@ $(VENV)/installed

# The tools of the tests are the pinned ones.
$(LOWEST)/installed: pyproject.toml constraints.txt tests/lowest.py
	mkdir -p build
	$(PYTHON) tests/lowest.py torch > build/lowest.txt
	grep -E '^(hypothesis|pytest|pytest-xdist|torch)==' constraints.txt >> build/lowest.txt
	@sh scripts/install.sh "$(PYTHON)" $(LOWEST) --constraint build/lowest.txt \
		--editable '.[plot,tune,zstd]' beartype hypothesis pytest pytest-xdist safetensors
	touch $@

$(PEERS)/installed: pyproject.toml constraints.txt
	@sh scripts/install.sh "$(PYTHON)" $(PEERS) --constraint constraints.txt --editable '.[dev,peers]'
	touch $@

# Beside the newest one, not in its place: it goes before it in a path. It needs no torch, so that none is fetched. Its
# Trainer imports `datasets`, and the newest of those needs a newer hub than it.
$(PEERS)/transformers-4: $(PEERS)/installed
	$(PEERS)/bin/python -m pip install --disable-pip-version-check --quiet --no-warn-conflicts --upgrade \
		--target $@ 'transformers>=4.57,<4.58' 'datasets<5'
	touch $@
