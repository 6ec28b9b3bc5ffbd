# rnnpool as a MicroPython user C module, for ports that build with make (unix, stm32, qemu, ...):
#
#     make -C ports/<port> USER_C_MODULES=<this repository, or a folder with this one in it> [RNNPOOL_MODELS="face my/own.rnnp"]
#
# RNNPOOL_MODELS: the models built into the firmware (names of files in models/, or absolute paths); may be empty. A copy of
# this folder alone has none, unless it has a folder models/ of its own.
# RNNPOOL_WITHOUT: what no model needs, left out of the firmware: kinds of operator and other names of engine/left_out.h, e.g.
# "RNNPOOL DETECT_HEAD TFLITE"; auto: all that none of RNNPOOL_MODELS needs. A model that does is then refused by that name.
# RNNPOOL_CFLAGS: more compiler flags for this module's own files only.

RNNPOOL_CFLAGS ?=

RNNPOOL_DIR := $(realpath $(USERMOD_DIR))
ifneq ($(wildcard $(RNNPOOL_DIR)/models/face.rnnp $(RNNPOOL_DIR)/../models/face.rnnp),)
RNNPOOL_MODELS ?= face
else
RNNPOOL_MODELS ?=
$(if $(RNNPOOL_MODELS),,$(info rnnpool: no models/face.rnnp beside this copy of the module: the firmware gets no model (RNNPOOL_MODELS=)))
endif
RNNPOOL_EMBED := $(RNNPOOL_DIR)/embed_models.py
include $(RNNPOOL_DIR)/left_out.mk
# Where this module's objects go: MicroPython 1.25 keeps the path below USER_C_MODULES, later ones the name of the folder that
# they found, which may be the one around this.
RNNPOOL_OBJ := $(sort $(BUILD)/$(patsubst $(USER_C_MODULES)/%,%,$(USERMOD_DIR)) $(BUILD)/$(notdir $(USERMOD_DIR)) \
    $(BUILD)/$(notdir $(patsubst %/,%,$(dir $(abspath $(USERMOD_DIR)))))/$(notdir $(USERMOD_DIR)))

# Only the binding is scanned for qstrs (SRC_USERMOD_C); the engine knows nothing of MicroPython.
SRC_USERMOD_C += $(sort $(wildcard $(USERMOD_DIR)/binding/*.c))
SRC_USERMOD_LIB_C += $(sort $(wildcard $(USERMOD_DIR)/engine/*.c $(USERMOD_DIR)/engine/*/*.c)) rnnpool_builtin_models.c
CFLAGS_USERMOD += -I$(RNNPOOL_DIR)

# (port%, not portable%: make's % stands for at least one character.) The kernels are where the time goes: -O2 even in a port that is built for size, and the rest small even in another.
define RNNPOOL_FLAGS
$(1)/engine/%.o: CFLAGS += -Os $(RNNPOOL_LEFT_OUT:%=-DRNNP_WITH_%=0) $(RNNPOOL_CFLAGS)
$(1)/engine/arch/%.o: CFLAGS += -O2
$(1)/engine/frame/%.o: CFLAGS += -O2
$(1)/engine/kernels/port%.o: CFLAGS += -O2
$(1)/binding/%.o: CFLAGS += $(RNNPOOL_LEFT_OUT:%=-DRNNP_WITH_%=0) $(RNNPOOL_CFLAGS)
endef
$(foreach folder,$(RNNPOOL_OBJ),$(eval $(call RNNPOOL_FLAGS,$(folder))))

# Engine and binding are compiled again when the list of what is left out has changed.
$(foreach folder,$(RNNPOOL_OBJ),$(patsubst $(RNNPOOL_DIR)/%.c,$(folder)/%.o,$(wildcard $(RNNPOOL_DIR)/engine/*/*.c $(RNNPOOL_DIR)/binding/*.c))): $(BUILD)/rnnpool_left_out.txt
$(BUILD)/rnnpool_left_out.txt: rnnpool-models
	$(Q)mkdir -p $(@D)
	$(Q)echo "$(RNNPOOL_LEFT_OUT)" | cmp -s - $@ || echo "$(RNNPOOL_LEFT_OUT)" > $@

# Run every time, since the list of models may have changed; the file stays as it is if they have not.
.PHONY: rnnpool-models
$(BUILD)/rnnpool_builtin_models.c: rnnpool-models
	$(Q)$(PYTHON) $(RNNPOOL_EMBED) --output $@ $(RNNPOOL_MODELS)
