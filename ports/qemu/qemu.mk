# Targets of the emulated board, included by the Makefile of the repository.

# Linked in; both models are in the ROMFS image that the tests add.
QEMU_MODELS := face

.PHONY: qemu
qemu: mpy $(STAMPS)/packages-m4 ## build build/qemu/firmware.elf, MicroPython with the module for an emulated Cortex-M4F
	$(call build_qemu,$(BUILD)/qemu,)

.PHONY: qemu-nodsp
qemu-nodsp: mpy $(STAMPS)/packages-m4 ## the same without the DSP kernels: build/qemu-nodsp/firmware.elf
	$(call build_qemu,$(BUILD)/qemu-nodsp,RNNPOOL_CFLAGS=-DRNNP_NO_DSP=1)

.PHONY: test-m4
test-m4: qemu qemu-nodsp $(BUILD)/test-inputs/.stamp ## the board and tests/micropython on the emulated Cortex-M4F, DSP kernels on and off
	$(DEV_PYTHON) -m pytest tests/qemu --ignore=tests/qemu/test_natmod.py --ignore=tests/qemu/test_mip.py $(PYTEST_ARGS)

# Neither do they depend on mpconfigboard.mk.
QEMU_SOURCE = $(MPY) $(shell cksum <ports/qemu/mpconfigboard.mk)

# folder, more variables for MicroPython's make; see build_unix. Objects do not depend on command-line definitions:
# one folder a configuration. The models are built in, for detect_faces(), and in the ROMFS image that the tests add.
define build_qemu
	@[ ! -e $(1)/.source ] || [ "$$(cat $(1)/.source)" = "$(QEMU_SOURCE)" ] || rm -rf $(1)
	@mkdir -p $(1) && echo "$(QEMU_SOURCE)" >$(1)/.source
	@$(call mpy_make,ports/qemu) BOARD_DIR="$(ROOT)/ports/qemu" BOARD=RNNPOOL_M4 BUILD=$(1) USER_C_MODULES="$(ROOT)" \
	    RNNPOOL_MODELS="$(QEMU_MODELS)" $(2)
endef
