# rnnpool. `make help` lists what there is to make. Everything made lies below build/.

# ---- What you may set on the command line ----

IMAGE ?=
# Models built into the firmware: names of files in models/, or paths of .rnnp files, with commas between; may be empty.
MODELS ?= face,person
# Your own MicroPython checkout; empty: MicroPython 1.25.0 is obtained (tools/get_micropython.py).
MPY_DIR ?=
PYTHON ?= python3
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60
# make bench: another core than the Cortex-M4
CORE ?=
# make eval
MODEL ?= models/face.rnnp
DATA ?= ../shared/data/faces/val
BACKEND ?= engine
# make test: parts at a time
TEST_JOBS ?= 2
# More arguments for pytest, e.g. PYTEST_ARGS="-k conv -x"
PYTEST_ARGS ?=

# ---- Where things are ----

ifneq ($(words $(CURDIR)),1)
$(error make can't work below a folder with a space in its name: move the checkout out of "$(CURDIR)")
endif

ifeq ($(PYTHON),)
$(error PYTHON= names no Python: leave it out, or say PYTHON=python3.12)
endif

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
# One target after the other, for output that can be read; what they call runs in parallel.
.NOTPARALLEL:

ROOT := $(CURDIR)
BUILD := $(ROOT)/build
STAMPS := $(BUILD)/stamps
VENV := $(BUILD)/venv
DEMO_VENV := $(BUILD)/venv-demo
DEV_PYTHON := $(VENV)/bin/python
DEMO_PYTHON := $(DEMO_VENV)/bin/python

# Caches that tools would otherwise leave in the source folders.
export PYTHONPYCACHEPREFIX := $(BUILD)/pycache
export HYPOTHESIS_STORAGE_DIRECTORY := $(BUILD)/hypothesis
export MYPY_CACHE_DIR := $(BUILD)/mypy
export RUFF_CACHE_DIR := $(BUILD)/ruff
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# One word for the shell, whatever is in it: $(call quoted,text).
quoted = '$(subst ','\'',$(1))'

.DEFAULT_GOAL := help

##@ For everyone

.PHONY: help
help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z0-9-]+:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nVariables: IMAGE= MODELS= MPY_DIR= MODEL= DATA= BACKEND= FUZZ_SECONDS= PYTEST_ARGS= JOBS= TEST_JOBS= PYTHON= V=\n'

.PHONY: demo
demo: image-there $(DEMO_VENV)/.stamp unix ## find the faces on a photo with the module in MicroPython [IMAGE=me.jpg]
	$(DEMO_PYTHON) tools/demo.py --micropython $(BUILD)/unix/micropython --output-dir $(BUILD)/demo $(if $(value IMAGE),-- $(call quoted,$(value IMAGE)))

# Before anything is built for it.
.PHONY: image-there
image-there:
	@$(if $(value IMAGE),[ -f $(call quoted,$(value IMAGE)) ] || { \
	    printf 'demo: there is no picture %s\n' $(call quoted,$(value IMAGE)) >&2; exit 2; },:)

.PHONY: unix
unix: mpy ## build build/unix/micropython with the module and the models in it [MODELS=face,person]
	$(call build_unix,$(BUILD)/unix,)

.PHONY: web
web: $(STAMPS)/packages-web ## build build/web/index.html: the engine and the models in a page for any browser [MODELS=face,person]
	$(PYTHON) web/build.py $(BUILD)/web/index.html --models $(subst $(comma), ,$(MODELS))

.PHONY: eval
eval: eval-data $(VENV)/.stamp ## measure a model on labelled images [MODEL= DATA=FOLDER|generated BACKEND=float|integer|engine JSON=1]
	$(DEV_PYTHON) -m rnnpool_training.evaluate --model $(call quoted,$(MODEL)) --data $(call quoted,$(EVAL_DATA)) \
	    --backend $(call quoted,$(BACKEND)) $(if $(JSON),--json)

.PHONY: eval-data
eval-data: $(if $(filter generated,$(DATA)),$(BUILD)/generated/labels.jsonl)
	@[ -e $(call quoted,$(EVAL_DATA)) ] || { printf '%s\n' \
	    $(call quoted,There are no images in $(DATA): they are not part of the project.) \
	    'Point DATA= to a folder with labels.jsonl and images/; docs/training.md says what is in it and which others are read.' \
	    'To try the command on drawn faces, which say nothing about real ones: make eval DATA=generated' >&2; exit 1; }

EVAL_DATA = $(if $(filter generated,$(DATA)),$(BUILD)/generated,$(DATA))

$(BUILD)/generated/labels.jsonl: $(VENV)/.stamp training/rnnpool_training/generated.py
	rm -rf $(@D)
	$(DEV_PYTHON) -m rnnpool_training.generated $(@D) --count 100

.PHONY: clean
clean: ## remove build/ (the download of MicroPython stays in the cache)
	rm -rf $(BUILD)

.PHONY: bench
bench: $(VENV)/.stamp $(STAMPS)/packages-$(if $(filter rv32,$(CORE)),rv32,m4) ## cycles, RAM and code size on a Cortex-M4, or instructions on another core, without a board [IMAGE=me.jpg CORE=m0plus|m3|m33|m33nofp|m7|rv32]
	$(DEV_PYTHON) -m tools.bench$(if $(CORE),.cores --core=$(call quoted,$(CORE))) $(if $(value IMAGE),--image=$(call quoted,$(value IMAGE)))

##@ For developers

.PHONY: bench-check
bench-check: $(VENV)/.stamp $(STAMPS)/packages-m4 ## fail if cycles, RAM or code grew by more than 1 % over docs/benchmarks.json
	$(DEV_PYTHON) -m tools.bench --check

.PHONY: bench-renew
bench-renew: $(VENV)/.stamp $(STAMPS)/packages-m4 ## write the figures of now into docs/benchmarks.md and .json
	$(DEV_PYTHON) -m tools.bench --write-docs

# The longest first; with the others it fills two cores.
TEST_PARTS := test-host lint test-micropython test-natmod coverage fuzz test-m4 bench-check
# What more than one part uses is made before they start: two would write the same files.
TEST_SETUP := $(VENV)/.stamp $(STAMPS)/packages-test $(STAMPS)/packages-web $(STAMPS)/packages-m4 \
    $(STAMPS)/packages-rv32 unix $(BUILD)/test-inputs/.stamp $(BUILD)/fuzz/seeds/.stamp

.PHONY: test
test: $(TEST_SETUP) ## everything that can be tested without hardware; a part that fails does not stop the others [TEST_JOBS=2]
	+@$(PYTHON) tools/run_parts.py --jobs $(TEST_JOBS) --logs $(BUILD)/test-logs $(TEST_PARTS)

.PHONY: lint
lint: lint-python lint-c lint-spelling ## ruff, mypy, clang-format, compiler warnings, codespell

.PHONY: format
format: $(VENV)/.stamp ## format the C and Python files
	$(DEV_PYTHON) -m ruff format .
	$(DEV_PYTHON) -m ruff check --fix .
	$(C_FILES) | xargs -0 $(VENV)/bin/clang-format -i

.PHONY: test-host
test-host: $(VENV)/.stamp $(STAMPS)/packages-test ## the tests in tests/host (pytest) [PYTEST_ARGS=]
	$(DEV_PYTHON) -m pytest tests/host $(PYTEST_ARGS)

.PHONY: test-micropython
test-micropython: unix unix-asan $(BUILD)/test-inputs/.stamp ## the tests in tests/micropython, on build/unix and build/unix-asan
	tests/micropython/run.sh $(MPY) $(BUILD)/unix/micropython $(BUILD)/test-inputs $(BUILD)/test-results/unix
	tests/micropython/run.sh $(MPY) $(BUILD)/unix-asan/micropython $(BUILD)/test-inputs $(BUILD)/test-results/unix-asan

.PHONY: unix-asan
unix-asan: mpy ## build build/unix-asan/micropython, with the address and undefined-behaviour sanitizers
	$(call build_unix,$(BUILD)/unix-asan,$(SANITIZERS))

.PHONY: docs
docs: web $(VENV)/.stamp ## build build/site/index.html: the documents as a site, links checked, the page of `make web` in it
	$(DEV_PYTHON) -m tools.docs_site $(BUILD)/site --page $(BUILD)/web/index.html

.PHONY: venv
venv: $(VENV)/.stamp ## set up build/venv, the Python environment of all this (PyTorch in it)

.PHONY: hooks
hooks: $(VENV)/.stamp ## run the lint at each git commit (pre-commit)
	$(VENV)/bin/pre-commit install

# ---- Set-up: each step leaves a file, so that it is done once ----

# Debian packages: installed by root, named to others.
$(STAMPS)/packages-%: tools/debian_packages.sh
	PYTHON="$(PYTHON)" tools/debian_packages.sh $*
	@mkdir -p $(@D) && touch $@

# Development and training, with PyTorch; and what a user of a device needs, without.
$(VENV)/.stamp: pyproject.toml | $(STAMPS)/packages-train
	$(call make_venv,$(VENV),tools$(comma)train$(comma)dev)

$(DEMO_VENV)/.stamp: pyproject.toml | $(STAMPS)/packages-build
	$(call make_venv,$(DEMO_VENV),tools)

comma := ,
# folder, extras of pyproject.toml. DIST_EXTRA_CONFIG keeps setuptools' egg-info out of the source folders.
define make_venv
	@echo "Installing Python packages into $(1:$(ROOT)/%=%) ($(2)):$(if $(findstring train,$(2)), PyTorch is large$(comma) this takes minutes, half a minute)"
	$(PYTHON) -m venv $(1)
	@printf '[egg_info]\negg_base = $(1)\n' >$(1)/setuptools.cfg
	DIST_EXTRA_CONFIG=$(1)/setuptools.cfg $(1)/bin/python -m pip install --quiet --progress-bar off --editable ".[$(2)]" || { \
	    echo "rnnpool: pip could not install these packages (above it says why: no network, a full disk?); the same command tries again" >&2; exit 1; }
	@touch $@
endef

# ---- MicroPython ----

ifeq ($(MPY_DIR),)
MPY := $(BUILD)/micropython
GET_MPY := --to $(MPY)
else
MPY := $(abspath $(MPY_DIR))
GET_MPY := --mpy-dir "$(MPY)"
endif

.PHONY: mpy
mpy: $(STAMPS)/packages-build
	@$(PYTHON) tools/get_micropython.py $(GET_MPY) >/dev/null

# folder, more variables for MicroPython's make. A folder built from another source of MicroPython is not mixed with this
# one. V=1 shows the commands.
define build_unix
	@mkdir -p $(1)
	@[ ! -e $(1)/.source ] || [ "$$(cat $(1)/.source)" = "$(MPY)" ] || rm -rf $(1)
	@mkdir -p $(1) && echo "$(MPY)" >$(1)/.source
	@echo "Building $(1:$(ROOT)/%=%)/micropython: about a minute the first time"
	@$(call mpy_make,ports/unix) VARIANT_DIR="$(ROOT)/ports/unix" VARIANT=rnnpool BUILD=$(1) USER_C_MODULES="$(ROOT)" \
	    RNNPOOL_MODELS="$(subst $(comma), ,$(MODELS))" $(2)
endef

# make in a folder of MicroPython; its variables follow. A source tree without git (.rnnpool-source) would take our
# repository's version for MicroPython's.
mpy_make = set -a; [ ! -e "$(MPY)/.rnnpool-source" ] || . "$(MPY)/.rnnpool-source"; set +a; \
    unset PYTHONPYCACHEPREFIX; export PYTHONDONTWRITEBYTECODE=1; \
    $(MAKE) -C "$(MPY)/$(1)" --no-print-directory $(MPY_JOBS) $(if $(V),,ECHO=@true MKDIR=@mkdir)
MPY_JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

# What the tests need beside themselves (images as raw pixels, blobs, expected results): tests/micropython/README.md.
$(BUILD)/test-inputs/.stamp: $(VENV)/.stamp tests/micropython/prepare.py $(wildcard models/*.rnnp) \
    $(shell find training tests/host -name "*.py" 2>/dev/null)
	rm -rf $(@D)
	$(DEV_PYTHON) tests/micropython/prepare.py $(@D)
	@touch $@

include ports/qemu/qemu.mk

# The port of MicroPython that has the board, if it is one that builds with CMake; else it is ports/stm32.
BOARD_PORT := $(if $(BOARD),$(firstword \
    $(foreach port,rp2 esp32,$(if $(wildcard $(MPY)/ports/$(port)/boards/$(BOARD)/.),$(port))) \
    $(if $(filter RPI_PICO%,$(BOARD)),rp2) $(if $(filter ESP32_%,$(BOARD)),esp32)))
include ports/stm32/stm32.mk
ifneq ($(BOARD_PORT),)
include ports/cmake/boards.mk
endif
include ports/natmod/natmod.mk

# Undefined behaviour is looked for in our files only: MicroPython itself has some.
SANITIZERS := DEBUG=1 STRIP= CFLAGS_EXTRA="-fsanitize=address" LDFLAGS_EXTRA="-fsanitize=address,undefined" \
    RNNPOOL_CFLAGS="-fsanitize=undefined -fno-sanitize-recover=undefined"

# ---- Lint ----

C_FILES := find mp_module ports tests training web -name '*.[ch]' -print0 -o -name '*.cpp' -print0
ENGINE := $(wildcard mp_module/engine/*.c mp_module/engine/*/*.c)
ENGINE_WARNINGS := -std=c99 -pedantic -Wall -Wextra -Werror -Wdouble-promotion -Wfloat-conversion -Wshadow \
    -Wstrict-prototypes -Wmissing-prototypes -Wundef

.PHONY: lint-python
lint-python: $(VENV)/.stamp
	$(DEV_PYTHON) -m ruff check .
	$(DEV_PYTHON) -m ruff format --check .
	$(DEV_PYTHON) -m mypy

.PHONY: lint-c
lint-c: $(VENV)/.stamp $(STAMPS)/packages-test
	$(C_FILES) | xargs -0 $(VENV)/bin/clang-format --dry-run --Werror
	tools/check_engine.sh $(BUILD)/lint $(ENGINE_WARNINGS) -- $(ENGINE)

.PHONY: lint-spelling
lint-spelling: $(VENV)/.stamp
	$(VENV)/bin/codespell

# ---- Coverage ----

# Lines and branches by file, and floors that fail when they fall: of the engine by the fuzzer's seeds, of the binding by the
# tests in tests/micropython. Floors are what is covered now, less one line or so.
COVERAGE := $(BUILD)/coverage
GCOVR := $(VENV)/bin/gcovr --root . --exclude-unreachable-branches --exclude-throw-branches --txt-summary

.PHONY: coverage
coverage: $(VENV)/.stamp mpy $(BUILD)/test-inputs/.stamp $(BUILD)/fuzz/seeds/.stamp ## lines and branches of engine and binding that tests reach
	rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	for file in $(ENGINE) tests/fuzz/fuzz_blob.c tests/fuzz/run_seeds.c; do \
	    gcc -std=c99 -O0 -g --coverage -Imp_module -c $$file -o $(COVERAGE)/$$(echo $$file | tr / _).o; \
	done
	gcc --coverage $(COVERAGE)/*.o -o $(COVERAGE)/run_seeds
	$(COVERAGE)/run_seeds $(BUILD)/fuzz/seeds/*
	$(GCOVR) --filter mp_module/engine --txt - --fail-under-line 98 --fail-under-branch 92 $(COVERAGE)
	$(call build_unix,$(BUILD)/unix-coverage,RNNPOOL_CFLAGS=--coverage LDFLAGS_EXTRA=--coverage)
	find $(BUILD)/unix-coverage -name '*.gcda' -delete
	tests/micropython/run.sh $(MPY) $(BUILD)/unix-coverage/micropython $(BUILD)/test-inputs $(BUILD)/test-results/coverage
	$(GCOVR) --filter mp_module/binding --txt - --fail-under-line 98 --fail-under-branch 94 \
	    --gcov-object-directory $(MPY)/ports/unix $(BUILD)/unix-coverage/mp_module/binding

# ---- Fuzzing ----

# One target a file tests/fuzz/fuzz_*.c, with the whole engine compiled in. Findings are kept in build/fuzz/NAME/.
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: fuzz
fuzz: $(FUZZERS:%=run-%) ## fuzz the engine [FUZZ_SECONDS=60 for each target]
	@[ -n "$(FUZZERS)" ] || { echo "there is no tests/fuzz/fuzz_*.c" >&2; exit 1; }

.PHONY: $(FUZZERS:%=run-%)
$(FUZZERS:%=run-%): run-%: $(BUILD)/fuzz/% $(BUILD)/fuzz/seeds/.stamp
	@mkdir -p $(BUILD)/fuzz/$*-corpus $(BUILD)/fuzz/$*-findings
	$< -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=1 -timeout=10 -rss_limit_mb=2048 \
	    -artifact_prefix=$(BUILD)/fuzz/$*-findings/ $(BUILD)/fuzz/$*-corpus $(BUILD)/fuzz/seeds

$(BUILD)/fuzz/%: tests/fuzz/%.c $(ENGINE) $(wildcard mp_module/engine/*.h mp_module/engine/*/*.h) $(STAMPS)/packages-test
	@mkdir -p $(@D)
	clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Imp_module -Wall -Wextra -Werror \
	    -o $@ $< $(ENGINE)

$(BUILD)/fuzz/seeds/.stamp: $(VENV)/.stamp tests/fuzz/make_seeds.py
	rm -rf $(@D)
	$(DEV_PYTHON) tests/fuzz/make_seeds.py $(@D)
	@touch $@
