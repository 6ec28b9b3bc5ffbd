// This file is part of rnnpool. MIT licence, see LICENSE.
//
// ROMFS partitions: 0 is the STM32F439's unused flash, mounted at /rom by MicroPython itself and writable with
// `mpremote romfs deploy`; 1 is the emulator's data image, mounted at /data.

#include <string.h>

#include "py/mperrno.h"
#include "py/objarray.h"
#include "py/objlist.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "extmod/vfs_rom.h"
#include "lib/oofatfs/ff.h"
#include "board.h"

// Symbols of the linker script: their addresses are the values.
extern uint8_t _romfs_start, _romfs_size, _data_romfs_start, _data_romfs_size;

static const MP_DEFINE_MEMORYVIEW_OBJ(flash_obj, 'B', 0, (uintptr_t)&_romfs_size, (void *)&_romfs_start);
static const MP_DEFINE_MEMORYVIEW_OBJ(data_obj, 'B', 0, (uintptr_t)&_data_romfs_size, (void *)&_data_romfs_start);

// Files on FAT have a time; there is no clock: 2025-01-01.
DWORD get_fattime(void);
DWORD get_fattime(void) {
    return (2025u - 1980) << 25 | 1u << 21 | 1u << 16;
}

static const mp_obj_array_t *const partitions[] = { &flash_obj, &data_obj };

#define FLASH_WRITE_UNIT (16) // bytes, as in ports/stm32

// Whether [offset, offset + len) is in partition 0, the only one that can be written.
static bool is_writable(mp_int_t partition, mp_int_t offset, mp_uint_t len) {
    mp_uint_t size = (mp_uint_t)&_romfs_size;
    return partition == 0 && offset >= 0 && (mp_uint_t)offset <= size && len <= size - (mp_uint_t)offset;
}

mp_obj_t __wrap_mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    mp_int_t command = mp_obj_get_int(args[0]);
    if (command == MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS) {
        return MP_OBJ_NEW_SMALL_INT(MP_ARRAY_SIZE(partitions));
    }
    mp_int_t partition = n_args > 1 ? mp_obj_get_int(args[1]) : -1;
    if (partition < 0 || partition >= (mp_int_t)MP_ARRAY_SIZE(partitions)) {
        return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
    if (command == MP_VFS_ROM_IOCTL_GET_SEGMENT) {
        return MP_OBJ_FROM_PTR(partitions[partition]);
    }
    if (command == MP_VFS_ROM_IOCTL_WRITE_PREPARE && n_args == 3) {
        mp_int_t len = mp_obj_get_int(args[2]);
        if (len >= 0 && is_writable(partition, 0, (mp_uint_t)len)) {
            board_flash_writable(true);
            memset(&_romfs_start, 0xFF, (size_t)len);
            board_flash_writable(false);
            return MP_OBJ_NEW_SMALL_INT(FLASH_WRITE_UNIT);
        }
    }
    if (command == MP_VFS_ROM_IOCTL_WRITE && n_args == 4) {
        mp_int_t offset = mp_obj_get_int(args[2]);
        mp_buffer_info_t from;
        mp_get_buffer_raise(args[3], &from, MP_BUFFER_READ);
        if (is_writable(partition, offset, from.len)) {
            board_flash_writable(true);
            memcpy(&_romfs_start + offset, from.buf, from.len);
            board_flash_writable(false);
            return MP_OBJ_NEW_SMALL_INT(0);
        }
    }
    if (command == MP_VFS_ROM_IOCTL_WRITE_COMPLETE) {
        return MP_OBJ_NEW_SMALL_INT(0);
    }
    return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
}

bool board_mount_data(void) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t filesystem = mp_call_function_1(MP_OBJ_FROM_PTR(&mp_type_vfs_rom), MP_OBJ_FROM_PTR(&data_obj));
        mp_obj_t mount_point = mp_obj_new_str_from_cstr("/data");
        mp_call_function_2(MP_OBJ_FROM_PTR(&mp_vfs_mount_obj), filesystem, mount_point);
        mp_obj_list_append(mp_sys_path, mount_point);
        nlr_pop();
        return true;
    }
    return false; // there is no data image
}
