// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What upstream's standard variant has; what differs from it is in mpconfigvariant.mk.

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#include "variants/mpconfigvariant_common.h"
