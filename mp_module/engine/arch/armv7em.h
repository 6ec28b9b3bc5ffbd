// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the kernels for Armv7E-M (Cortex-M4F, M7) share.
#ifndef RNNP_ARCH_ARMV7EM_H
#define RNNP_ARCH_ARMV7EM_H

#include "../kernels.h"

#if RNNP_ARMV7EM

#include <arm_acle.h>

#endif

#endif // RNNP_ARCH_ARMV7EM_H
