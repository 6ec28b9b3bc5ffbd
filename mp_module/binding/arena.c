// This file is part of rnnpool. MIT licence, see LICENSE.

#include "py/objarray.h"

#include "binding/binding.h"

#ifdef RNNPOOL_ARENA_BYTES // the board has memory for it that the heap is not in
static uint8_t board_memory[RNNPOOL_ARENA_BYTES]
    __attribute__((section(RNNPOOL_ARENA_SECTION), aligned(RNNP_ALIGNMENT)));
static const MP_DEFINE_MEMORYVIEW_OBJ(
    board_obj, 'B' | MP_OBJ_ARRAY_TYPECODE_FLAG_RW, 0, sizeof(board_memory), board_memory);
#define BOARD_ARENA MP_OBJ_FROM_PTR(&board_obj)
#else
#define BOARD_ARENA mp_const_none
#endif

mp_obj_t rnnpool_arena_of_board(void) {
    return BOARD_ARENA;
}

// The aligned part of the caller's buffer.
static void look_up(const rnnpool_arena_t *arena, uint8_t **data, size_t *size) {
    mp_buffer_info_t buffer;
    rnnpool_memory_look_up(&arena->memory, &buffer, MP_BUFFER_RW);
    size_t skip = -(uintptr_t)buffer.buf % RNNP_ALIGNMENT;
    *data = (uint8_t *)buffer.buf + skip;
    *size = buffer.len < skip ? 0 : buffer.len - skip;
}

void rnnpool_arena_init(rnnpool_arena_t *arena, mp_obj_t owner) {
    *arena = (rnnpool_arena_t){ .block = NULL };
    arena->memory.owner = MP_OBJ_NULL;
    if (owner != mp_const_none) {
        rnnpool_memory_init(&arena->memory, owner);
        look_up(arena, &arena->data, &arena->size);
    }
}

bool rnnpool_arena_acquire(rnnpool_arena_t *arena) {
    if (arena->memory.owner == MP_OBJ_NULL) {
        return true;
    }
    uint8_t *data;
    size_t size;
    look_up(arena, &data, &size);
    bool same = data == arena->data && size == arena->size;
    arena->data = data;
    arena->size = size;
    return same;
}

void rnnpool_arena_reserve(rnnpool_arena_t *arena, size_t bytes) {
    rnnpool_arena_acquire(arena);
    if (arena->size >= bytes) {
        return;
    }
    if (arena->memory.owner == BOARD_ARENA) {
        // Nobody asked for the board's memory, so the heap may do what it is too small for.
        rnnpool_arena_init(arena, mp_const_none);
    }
    if (arena->memory.owner != MP_OBJ_NULL) {
        rnnp_error_t error = { .status = RNNP_ERROR_ARENA,
            .op = -1,
            .what = "arena",
            .expected = (uint32_t)bytes,
            .given = (uint32_t)arena->size };
        rnnpool_raise(&error);
    }
    // The old block is given back first, so that a heap with room for one arena is enough.
    m_del(uint8_t, arena->block, arena->size);
    arena->block = NULL;
    arena->data = NULL;
    arena->size = 0;
    arena->block = rnnpool_allocate(bytes);
    arena->data = arena->block;
    arena->size = bytes;
}
