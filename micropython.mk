# Where a clone of this repository lies in a folder with other user C modules (USER_C_MODULES=that folder), MicroPython looks
# for the module here. It is in mp_module/. Where USER_C_MODULES is the repository itself, mp_module/ is found as well, and
# later MicroPythons than 1.25 look here, too: nothing to do.
ifeq ($(filter $(abspath $(USERMOD_DIR)),$(abspath $(USER_C_MODULES))),)
USERMOD_DIR := $(USERMOD_DIR)/mp_module
include $(USERMOD_DIR)/micropython.mk
endif
