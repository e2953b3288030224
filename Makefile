# Each target sets up .venv by itself; all it needs is Python 3.11 or newer. `make` alone lists them.

PYTHON := $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --python $(BIN)/python --constraints constraints.txt
# The suite runs where the wheel is installed and no source of the package can be imported.
SUITE := build/suite
WHEEL_PYTHON := build/venv/bin/python
ARGS ?=
# Other implementations that `make bench` compares with: modules of benchmarks/peers, and what they need.
PEERS := mobile-sam efficientvit-sam sam
PACKAGES_mobile-sam := mobilesam-lite==0.1.2 timm==1.0.31
PACKAGES_efficientvit-sam := efficientsam==1.0.0
PACKAGES_sam := segment-anything==1.0
# FiftyOne's own wrapper imports segment-anything and here holds MobileSAM's network.
PACKAGES_fiftyone := segment-anything==1.0 mobilesam-lite==0.1.2 timm==1.0.31
PACKAGES_lvis := lvis==0.5.3

.PHONY: help venv demo test check format bench evaluation lvis docs wheel clean

help:
	@echo "make venv    .venv with the package, all hosts and all tools"
	@echo "make demo    segment the photos that ship with the package, write pictures"
	@echo "make test    build the wheel and test it installed; ARGS go to pytest: make test ARGS='-k masks'"
	@echo "make check   ruff and mypy"
	@echo "make format  let ruff rewrite what it can"
	@echo "make docs    write the tables of docs/models.md and the hosts' lists of models; ARGS=--pictures draws, too"
	@echo "make bench   time it, and other implementations on the same weights; ARGS='--rounds 3 --only encode' DATA=DIR"
	@echo "make evaluation DATA=DIR   the tables of docs/evaluation.md, by lightsam evaluate"
	@echo "make lvis    what LVIS's own package makes of our test scenes, anew"
	@echo "make clean   remove .venv and everything built"

venv: $(BIN)/.dev

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found: install it, or make it reachable as python3.11" >&2; exit 1; }
	@$(PYTHON) -c "import ensurepip" 2>/dev/null || { echo "$(PYTHON) cannot make environments: on Debian, apt install $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# The core alone, enough for the demo: a newcomer does not wait for the hosts.
$(BIN)/.core: pyproject.toml constraints.txt | $(BIN)/uv
	@echo "setting up .venv (once; the default torch for Linux is a download of some GB)"
	$(INSTALL) --editable .
	@touch $@

$(BIN)/.dev: $(BIN)/.core
	$(INSTALL) --editable ".[dev]"
	@touch $@

demo: $(BIN)/.core
	$(BIN)/lightsam demo $(ARGS)

# The wheel is built from the source distribution, and the tests are taken from there: both are proven complete.
wheel: $(BIN)/.dev
	rm -rf build/suite build/venv dist
	$(BIN)/uv build --quiet --python $(BIN)/python --out-dir dist
	$(BIN)/uv venv --quiet --python $(BIN)/python build/venv
	$(BIN)/uv pip install --quiet --python $(WHEEL_PYTHON) --no-deps dist/*.whl
# Dependencies come from .venv by path. Its editable install does not: a .pth found by way of a .pth is not followed.
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$($(WHEEL_PYTHON) -c "import sysconfig; print(sysconfig.get_path('purelib'))")/dependencies.pth"
	mkdir -p $(SUITE)
	tar --extract --gzip --file dist/*.tar.gz --directory $(SUITE) --strip-components 1
	rm -r $(SUITE)/lightsam_plugins

# OpenVINO, ONNX Runtime and torch's compiler have a process of their own: beside all hosts in one, it crashed.
ENGINES := tests/core/test_engines.py tests/core/test_export.py

test: wheel
ifeq ($(ARGS),)
	cd $(SUITE) && ../venv/bin/python -m pytest $(ENGINES:%=--ignore=%)
	cd $(SUITE) && ../venv/bin/python -m pytest $(ENGINES)
else
	cd $(SUITE) && ../venv/bin/python -m pytest $(ARGS)
endif

check: $(BIN)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(BIN)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(PEERS:%=build/peers/%/.ready) build/peers/fiftyone/.ready
	$(BIN)/pytest benchmarks --benchmark-only
	$(foreach peer,$(PEERS),build/peers/$(peer)/bin/python -W ignore -m benchmarks.versus $(subst -,_,$(peer)) --threads 2 $(ARGS) &&) true
	$(BIN)/python -W ignore -m benchmarks.versus ultralytics_sam --threads 2 $(ARGS)
	$(BIN)/python -W ignore -m benchmarks.versus efficient_sam --threads 2 $(ARGS)
	PYTHONPATH=adapters build/peers/fiftyone/bin/python -W ignore -m benchmarks.fiftyone_sam
	$(BIN)/python -W ignore -m benchmarks.fastsam
	$(if $(DATA),$(BIN)/python -m benchmarks.hierarchical --data $(DATA))

# A peer lives in an environment of its own; torch and the like it takes from .venv, so that both sides run on the same.
build/peers/%/.ready: $(BIN)/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python --no-deps $(PACKAGES_$*)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$($(@D)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/dependencies.pth"
	@touch $@

evaluation: $(BIN)/.dev
	$(BIN)/python docs/make_evaluation.py $(if $(DATA),--data $(DATA)) $(ARGS)

lvis: build/peers/lvis/.ready
	build/peers/lvis/bin/python tests/core/lvis_scene.py tests/core/lvis_answers.json

docs: $(BIN)/.dev
	$(BIN)/python docs/make_manifests.py
	$(BIN)/python docs/make_models.py $(ARGS)

clean:
	rm -rf .venv build dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
