# Firmware for boards of MicroPython's ports that build with CMake, included by the Makefile of the repository: rp2 (Raspberry
# Pi Pico and Pico 2) and esp32. They need your own checkout of MicroPython, with its submodules (rp2), or Espressif's IDF.

CMAKE_NAME := $(BOARD)$(if $(BOARD_VARIANT),-$(BOARD_VARIANT))
CMAKE_BUILD := $(BUILD)/$(BOARD_PORT)/$(CMAKE_NAME)
CMAKE_PORT = $(MPY)/ports/$(BOARD_PORT)
CMAKE_BOARD := BOARD=$(BOARD) $(if $(BOARD_VARIANT),BOARD_VARIANT=$(BOARD_VARIANT)) BUILD=$(CMAKE_BUILD)
CMAKE_MAKE = unset PYTHONPYCACHEPREFIX; export PYTHONDONTWRITEBYTECODE=1; $(MAKE) --no-print-directory $(MPY_JOBS)
PORT ?=

# What is missing, before anything is built.
.PHONY: firmware-board
firmware-board: $(STAMPS)/packages-python
	@[ -n "$(MPY_DIR)" ] || { echo "firmware for $(BOARD) is built in your own checkout of MicroPython: say MPY_DIR=<that folder> (docs/boards.md)" >&2; exit 1; }
	@$(PYTHON) tools/get_micropython.py $(GET_MPY) >/dev/null
	@[ -d "$(CMAKE_PORT)/boards/$(BOARD)" ] || { echo "no board $(BOARD) in $(CMAKE_PORT)/boards" >&2; exit 1; }
ifeq ($(BOARD_PORT),rp2)
	@[ -f "$(MPY)/lib/pico-sdk/README.md" ] || { echo "$(MPY) lacks lib/pico-sdk: run make -C $(CMAKE_PORT) BOARD=$(BOARD) submodules" >&2; exit 1; }
else
	@command -v idf.py >/dev/null || { echo "Espressif's IDF is missing: install it as $(CMAKE_PORT)/README.md says, and source its export.sh" >&2; exit 1; }
endif

# The face model is linked in, others where MODELS= asks for them: a Pico's flash has no room for both of ours.
CMAKE_MODELS := $(if $(filter command environment override,$(origin MODELS)),$(MODELS),face)

# The models, and what is left out, are read when CMake configures: others need a new folder.
CMAKE_MADE_OF = $(MPY) $(CMAKE_MODELS) $(RNNPOOL_WITHOUT)

.PHONY: firmware
firmware: firmware-board $(STAMPS)/packages-$(if $(filter rp2,$(BOARD_PORT)),rp2,build) ## build build/rp2/NAME/firmware.uf2 or build/esp32/NAME/firmware.bin [BOARD=NAME MPY_DIR= MODELS=face]
	@[ ! -e $(CMAKE_BUILD)/.source ] || [ "$$(cat $(CMAKE_BUILD)/.source)" = "$(CMAKE_MADE_OF)" ] || rm -rf $(CMAKE_BUILD)
	@mkdir -p $(CMAKE_BUILD) && echo "$(CMAKE_MADE_OF)" >$(CMAKE_BUILD)/.source
	@echo "Building $(CMAKE_BUILD:$(ROOT)/%=%)"
	@$(CMAKE_MAKE) -C "$(MPY)/mpy-cross" $(if $(V),,ECHO=@true)
	@$(CMAKE_MAKE) -C "$(CMAKE_PORT)" $(CMAKE_BOARD) USER_C_MODULES=$(ROOT)/mp_module/micropython.cmake RNNPOOL_MODELS=$(CMAKE_MODELS) $(if $(RNNPOOL_WITHOUT),RNNPOOL_WITHOUT=$(call quoted,$(RNNPOOL_WITHOUT)))
	$(if $(filter rp2,$(BOARD_PORT)),@$(PYTHON) -m tools.board.uf2 --check $(CMAKE_BUILD)/firmware.uf2)

.PHONY: deploy
deploy: firmware $(DEMO_VENV)/.stamp ## flash it (a Pico: with BOOTSEL held, or picotool), and test it on the board [PORT=]
ifeq ($(BOARD_PORT),rp2)
	@$(DEMO_PYTHON) -m tools.board.uf2 $(CMAKE_BUILD)/firmware.uf2
else
	@$(CMAKE_MAKE) -C "$(CMAKE_PORT)" $(CMAKE_BOARD) $(if $(PORT),PORT=$(call quoted,$(PORT))) deploy
endif
	@machine=$$(sed -n 's/^#define MICROPY_HW_BOARD_NAME *"\(.*\)".*/\1/p' "$(CMAKE_PORT)/boards/$(BOARD)/mpconfigboard.h"); \
	    $(DEMO_PYTHON) -m tools.board deploy --no-flash --board $(BOARD) --machine "$${machine:-$(BOARD)}" \
	    $(if $(PORT),--port $(call quoted,$(PORT)))
