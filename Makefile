.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup train report figures test lint types docs tutorial clean

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

train: setup  ## Set up, then train a narrow codec on embedded sample photos: two minutes on a CPU
	$(BIN)/python train.py experiment=quickstart

report: setup  ## Set up, then measure the packaged network on sample photos: a page to look at, report.html
	$(BIN)/python evaluate.py images=samples 'baselines=[jpeg,webp]' folder=outputs/evaluations/light-samples
	$(BIN)/rnncodec report outputs/evaluations/light-samples -o report.html --overwrite

figures: setup  ## Make the figures of the documentation in docs/figures; PHOTOS=FOLDER draws the curves of other photos
	$(BIN)/python -m benchmarks.figures $(if $(PHOTOS),--photos '$(PHOTOS)')

test: setup  ## Set up, then lint, check types, build the site and run the tests
	$(MAKE) --jobs --output-sync lint types docs
	$(BIN)/pytest -n auto --dist worksteal

setup: .venv/.installed  ## Make .venv with everything, at the versions pinned in constraints.txt

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the pinned versions need Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[train,evaluate,ray,hub,heif,jxl,onnx,dev,docs]'
# On all cores: pip compiles on one. Some packages hold files that cannot be compiled.
	$(BIN)/python -m compileall -qq -j 0 .venv/lib src || true
	touch $@

lint: setup  ## Check the style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## Check the types of the code
	$(BIN)/mypy

docs: setup  ## Build the documentation as a site, in site/; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

tutorial: setup  ## Run docs/tutorial.ipynb, and write its output into it: five minutes on a CPU
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False docs/tutorial.ipynb

clean:  ## Remove .venv and caches; outputs stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build site src/*.egg-info
