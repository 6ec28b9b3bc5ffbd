# Where a clone of this repository lies in a folder with other user C modules (USER_C_MODULES=that folder), MicroPython looks
# for the module here. It is in mp_module/.
USERMOD_DIR := $(USERMOD_DIR)/mp_module
include $(USERMOD_DIR)/micropython.mk
