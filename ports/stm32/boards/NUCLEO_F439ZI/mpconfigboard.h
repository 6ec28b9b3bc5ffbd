// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What differs from upstream's NUCLEO_F439ZI.

#include "boards/NUCLEO_F439ZI/mpconfigboard.h"

// Models and scripts in the flash that upstream leaves unused (romfs.ld), mounted at /rom.
#define MICROPY_HW_ROMFS_ENABLE_INTERNAL_FLASH (1)
#define MICROPY_HW_ROMFS_ENABLE_PART0 (1)

// Code that the module's place is taken from (limits.toml): the CAN controllers, for which the board has no transceiver, and
// the inline assembler. Native and viper code stay.
#undef MICROPY_HW_CAN1_TX
#undef MICROPY_HW_CAN1_RX
#define MICROPY_EMIT_INLINE_THUMB (0)

#if !MICROPY_PY_LWIP // the variant without network

// Nothing else asks for the Ethernet controller, its driver, and 16 KB of buffers.
#undef MICROPY_HW_ETH_MDC

// The file system in sectors of 16 KB only, so that the write cache, one sector, needs no more of the CCM (ccm.ld).
#undef MICROPY_HW_ENABLE_INTERNAL_FLASH_STORAGE_SEGMENT2
#define MICROPY_HW_ENABLE_INTERNAL_FLASH_STORAGE_SEGMENT2 (0)

// The rest of it is for the models that the module keeps (mp_module/binding/arena.c).
#define RNNPOOL_ARENA_SECTION ".rnnpool_arena"
#define RNNPOOL_ARENA_BYTES (48 * 1024)

#endif
