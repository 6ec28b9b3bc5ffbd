# What is left out of the module, for micropython.mk and natmod/natmod.mk: RNNPOOL_LEFT_OUT, names of engine/left_out.h, from
# RNNPOOL_WITHOUT and, where that has auto, from what RNNPOOL_MODELS need. Needs RNNPOOL_EMBED and PYTHON.

RNNPOOL_WITHOUT ?=
RNNPOOL_MODELS ?=
RNNPOOL_LEFT_OUT :=

ifneq ($(strip $(RNNPOOL_WITHOUT)),)
RNNPOOL_LEFT_OUT := $(shell $(PYTHON) $(RNNPOOL_EMBED) --without "$(RNNPOOL_WITHOUT)" $(RNNPOOL_MODELS) || echo FAILED)
ifneq ($(filter FAILED,$(RNNPOOL_LEFT_OUT)),)
$(error rnnpool: what RNNPOOL_WITHOUT=$(RNNPOOL_WITHOUT) leaves out could not be found out)
endif
endif
