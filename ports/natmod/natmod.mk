# The native .mpy for stock firmware, included by the Makefile of the repository. mp_module/natmod/natmod.mk says what is in it.

ARCH ?= x64
NATMOD_ARCHS := x64 armv6m armv7m armv7emsp armv7emdp rv32imc
# Also built with nothing but what the models in models/ need, as build/natmod/ARCH-lean/: boards whose heap the code fills.
NATMOD_LEAN := armv6m
NATMOD := $(BUILD)/natmod
# What to leave out (engine/left_out.h); auto: all that none of MODELS= needs.
RNNPOOL_WITHOUT ?=

# Compiler and mpy-cross of an architecture; xtensawin's is in no package.
NATMOD_PACKAGES = $(if $(filter armv%,$(1)),$(STAMPS)/packages-m4,$(if $(filter rv32%,$(1)),$(STAMPS)/packages-rv32,$(STAMPS)/packages-build))

.PHONY: natmod
natmod: mpy mpy-cross $(VENV)/.stamp $(call NATMOD_PACKAGES,$(ARCH)) ## build build/natmod/ARCH/rnnpool.mpy for stock firmware [ARCH=armv6m|armv7m|armv7emsp|armv7emdp|rv32imc|xtensawin|x64 RNNPOOL_WITHOUT=auto MODELS=]
	$(call build_natmod,$(ARCH),$(subst $(comma), ,$(RNNPOOL_WITHOUT)),$(subst $(comma), ,$(MODELS)))

.PHONY: natmod-all
natmod-all: mpy mpy-cross $(VENV)/.stamp $(STAMPS)/packages-m4 $(STAMPS)/packages-rv32 ## the same for every architecture that has a compiler in Debian
	$(foreach arch,$(NATMOD_ARCHS),$(call build_natmod,$(arch))$(newline))
	$(foreach arch,$(NATMOD_LEAN),$(call build_natmod,$(arch),auto,$(basename $(notdir $(wildcard models/*.rnnp))),-lean)$(newline))

# An empty line and the end of one: each call above is a recipe line of its own.
define newline


endef

.PHONY: mip
mip: natmod-all ## build build/mip/: packages for MicroPython's installer, each native .mpy and the models (docs/boards.md)
	@$(DEV_PYTHON) -m tools.dist mip $(BUILD)/mip

.PHONY: dist
dist: natmod-all web ## build build/dist/, a folder for a release page: packages for mip, wheel, page, typings, firmware that was built, checksums
	@$(DEV_PYTHON) -m tools.dist all $(BUILD)/dist

.PHONY: mpy-cross
mpy-cross: mpy
	@echo "Building mpy-cross"
	@$(call mpy_make,mpy-cross) >/dev/null

# architecture, what to leave out (auto: all that none of the models needs), models, what its folder's name has
# behind the architecture. Not mixed with what another source of MicroPython made.
define build_natmod
	@[ ! -e $(NATMOD)/$(1)$(4)/.source ] || [ "$$(cat $(NATMOD)/$(1)$(4)/.source)" = "$(MPY)" ] || rm -rf $(NATMOD)/$(1)$(4)
	@mkdir -p $(NATMOD)/$(1)$(4) && echo "$(MPY)" >$(NATMOD)/$(1)$(4)/.source
	@echo "include $(ROOT)/mp_module/natmod/natmod.mk" >$(NATMOD)/$(1)$(4)/Makefile
	@echo "Building build/natmod/$(1)$(4)/rnnpool.mpy"
	@unset PYTHONPYCACHEPREFIX; export PYTHONDONTWRITEBYTECODE=1; \
	    $(MAKE) -C $(NATMOD)/$(1)$(4) --no-print-directory $(MPY_JOBS) ARCH=$(1) \
	    MPY_DIR="$(MPY)" PYTHON=$(DEV_PYTHON) RNNPOOL_DIR="$(ROOT)/mp_module" \
	    RNNPOOL_WITHOUT="$(2)" RNNPOOL_MODELS="$(3)" $(if $(V),,ECHO=@true)
endef

# MicroPython without the module, as in stock firmware, to load the .mpy: the same variant and board as of the other tests.
.PHONY: unix-stock
unix-stock: mpy
	$(call build_unix,$(BUILD)/unix-stock,USER_C_MODULES=)

.PHONY: qemu-stock
qemu-stock: mpy $(STAMPS)/packages-m4
	$(call build_qemu,$(BUILD)/qemu-stock,USER_C_MODULES= RAM_KB=320)

.PHONY: test-natmod
test-natmod: natmod-all unix-stock qemu-stock $(BUILD)/test-inputs/.stamp ## the tests in tests/micropython with the native .mpy in stock firmware, on unix and on the emulated Cortex-M4F
	tests/micropython/run.sh $(MPY) $(BUILD)/unix-stock/micropython $(BUILD)/test-inputs $(BUILD)/test-results/natmod $(NATMOD)/x64
	$(DEV_PYTHON) -m pytest tests/qemu/test_natmod.py tests/qemu/test_mip.py $(PYTEST_ARGS)
