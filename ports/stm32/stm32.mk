# Firmware for STM32 boards, included by the Makefile of the repository. ports/stm32/README.md.

# A board of upstream's, by its name there; ports/stm32/boards has our versions of some.
BOARD ?=
BOARD_VARIANT ?=
# How the firmware gets to the board: auto, st-flash, openocd, dfu; and the board's serial port, if there are several.
DEPLOY ?= auto
PORT ?=
# Not empty: make the board's file system anew (after a firmware with another size of it); its files are lost.
MKFS ?=

STM32_NAME := $(BOARD)$(if $(BOARD_VARIANT),-$(BOARD_VARIANT))
STM32_BUILD := $(BUILD)/stm32/$(STM32_NAME)
STM32_OURS := $(if $(BOARD),$(wildcard ports/stm32/boards/$(BOARD)))
STM32_BOARD := BOARD=$(BOARD) $(if $(STM32_OURS),BOARD_DIR="$(ROOT)/$(STM32_OURS)") \
    $(if $(BOARD_VARIANT),BOARD_VARIANT=$(BOARD_VARIANT))

# Our boards have a ROMFS partition for the models; elsewhere the face model is linked in, and where MODELS= asks for it, others.
STM32_ROMFS := $(if $(STM32_OURS),$(wildcard $(STM32_OURS)/romfs.ld))
STM32_ASKED := $(filter command environment override,$(origin MODELS))
STM32_MODELS := $(if $(STM32_ASKED),$(subst $(comma), ,$(MODELS)),$(if $(STM32_ROMFS),,face))

# The libraries of ports/stm32 are git submodules: an unpacked source package has none.
ifeq ($(MPY_DIR),)
STM32_MPY := $(BUILD)/micropython-git
STM32_GET_MPY := --git --to "$(STM32_MPY)"
else
STM32_MPY := $(MPY)
STM32_GET_MPY := $(GET_MPY)
endif

STM32_MAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS)) $(if $(V),,ECHO=@true MKDIR=@mkdir)

##@ For boards

ifeq ($(BOARD_PORT),) # else ports/cmake/boards.mk has these

# Before a compiler is installed, anything fetched or built: the name, as far as some MicroPython is here to look it up in.
.PHONY: firmware-board
firmware-board: $(STAMPS)/packages-python
	@[ -n "$(BOARD)" ] || { echo "which board? make BOARD=NUCLEO_F439ZI firmware (docs/stm32.md lists others)" >&2; exit 1; }
	@$(PYTHON) -m tools.stm32 board --mpy "$(STM32_MPY)" --mpy "$(MPY)" --mpy "$(BUILD)/micropython" --board "$(BOARD)" \
	    --variant "$(BOARD_VARIANT)"

.PHONY: firmware
firmware: firmware-board $(STAMPS)/packages-stm32 ## build build/stm32/NAME/firmware.*, memory checked [BOARD=NAME BOARD_VARIANT= MODELS= MPY_DIR=]
	@$(PYTHON) tools/get_micropython.py $(STM32_GET_MPY) >/dev/null
	@$(PYTHON) -m tools.stm32 prepare --mpy "$(STM32_MPY)" --board "$(BOARD)" --variant "$(BOARD_VARIANT)" -- $(STM32_BOARD) BUILD=$(STM32_BUILD)
	@mkdir -p $(STM32_BUILD)
	@[ ! -e $(STM32_BUILD)/.source ] || [ "$$(cat $(STM32_BUILD)/.source)" = "$(STM32_MPY)" ] || rm -rf $(STM32_BUILD)
	@mkdir -p $(STM32_BUILD) && echo "$(STM32_MPY)" >$(STM32_BUILD)/.source
	@echo "Building $(STM32_BUILD:$(ROOT)/%=%)/firmware.elf"
	@# mpy-cross by itself: as a prerequisite of the port it would be given our BUILD, and then not be found.
	@set -a; [ ! -e "$(STM32_MPY)/.rnnpool-source" ] || . "$(STM32_MPY)/.rnnpool-source"; set +a; \
	    unset PYTHONPYCACHEPREFIX; export PYTHONDONTWRITEBYTECODE=1; \
	    $(STM32_MAKE) -C "$(STM32_MPY)/mpy-cross"; \
	    $(STM32_MAKE) -C "$(STM32_MPY)/ports/stm32" $(STM32_BOARD) BUILD=$(STM32_BUILD) USER_C_MODULES="$(ROOT)" \
	    RNNPOOL_MODELS="$(STM32_MODELS)"
	$(if $(STM32_ROMFS),@$(PYTHON) tools/make_romfs.py build $(STM32_BUILD)/romfs.img models/*.rnnp >/dev/null)
	@$(PYTHON) -m tools.stm32 check $(STM32_BUILD) $(if $(STM32_ROMFS),--romfs $(STM32_BUILD)/romfs.img) --linked $(STM32_MODELS)

endif

.PHONY: stm32-docs
stm32-docs: $(DEMO_VENV)/.stamp ## write docs/stm32_memory.md and .png from docs/stm32_memory.json
	$(DEMO_PYTHON) -m tools.stm32 docs

# BOARD/VARIANT/MODELS of the firmware in docs/stm32_memory.json. 512 KB chips have no room for the person model.
STM32_RECORDED := NUCLEO_F439ZI//face,person NUCLEO_F439ZI/NETWORK/face,person NUCLEO_F429ZI//face,person \
    STM32F429DISC//face,person PYBV11//face,person NUCLEO_F446RE//face NUCLEO_F411RE//face WEACT_F411_BLACKPILL//face \
    NUCLEO_H743ZI//face,person NUCLEO_H563ZI//face,person NUCLEO_F767ZI//face,person NUCLEO_WB55//face NUCLEO_L476RG//face

.PHONY: stm32-renew
stm32-renew: ## link the firmware of all boards in docs/stm32_memory.json, note its sizes, write the tables [MPY_DIR=]
	@folders=""; for firmware in $(STM32_RECORDED); do \
	    IFS=/ read -r board variant models <<<"$$firmware"; \
	    $(MAKE) --no-print-directory BOARD=$$board BOARD_VARIANT=$$variant MODELS=$$models firmware; \
	    folders="$$folders $(BUILD)/stm32/$$board$${variant:+-$$variant}"; \
	done; $(PYTHON) -m tools.stm32 record $$folders
	@$(MAKE) --no-print-directory stm32-docs

ifeq ($(BOARD_PORT),)

# A program to flash with is looked for before minutes are spent on a firmware.
.PHONY: deploy-program
deploy-program: firmware-board
	@$(PYTHON) -m tools.board.flash $(DEPLOY)

.PHONY: deploy
deploy: deploy-program firmware $(DEMO_VENV)/.stamp ## flash it, its models and the examples, and test them on the board [DEPLOY=auto PORT= MKFS=]
	@machine=$$(sed -n 's/^#define MICROPY_HW_BOARD_NAME *"\(.*\)".*/\1/p' \
	    "$(STM32_MPY)/ports/stm32/boards/$(BOARD)/mpconfigboard.h"); \
	    family=$$(sed -n 's/^MCU_SERIES *:*= *\([a-z0-9]*\).*/\1/p' "$(STM32_MPY)/ports/stm32/boards/$(BOARD)/mpconfigboard.mk"); \
	    $(DEMO_PYTHON) -m tools.board deploy --board $(BOARD) --machine "$${machine:-$(BOARD)}" --build $(STM32_BUILD) \
	    --family "$$family" \
	    --method $(DEPLOY) $(if $(MKFS),--mkfs) $(if $(PORT),--port $(call quoted,$(PORT)))

endif
