// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The part of the cycle model that runs inside Unicorn's hooks (native, since a hook in Python would cost more than the emulation).
// It only counts: how often each halfword of the code was run and entered by a taken branch, for each segment (an operator,
// chosen by markers in the code), and the few costs that depend on the run. machine.py turns the counts into cycles.
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <unicorn/unicorn.h>

#define MARK_DEPTH (16)
#define CODE_LINES (64)
#define DATA_LINES (8)
#define LINE_BITS (4) // 16 bytes
#define FLASH_WAIT (5)
#define IT_STATE (0x0600FC00u) // in CPSR

enum { PLAIN, DYNAMIC_DIVIDE, DYNAMIC_CONDITIONAL, MARK }; // timing.py

typedef struct {
    uint32_t tag[CODE_LINES];
    uint64_t used[CODE_LINES]; // time of the last use, for least recently used
    uint32_t lines;
} cache_t;

// Filled by machine.py (ctypes structure of the same layout).
typedef struct {
    uc_err (*reg_read)(uc_engine *uc, int regid, void *value);
    uc_err (*reg_write)(uc_engine *uc, int regid, const void *value);
    const uint8_t *code; // the code section's bytes
    uint32_t code_base, halfwords;
    const uint8_t *cycles, *dynamic, *condition, *conditional; // timing.Table
    int64_t *runs; // [segments][halfwords + 1]: +1 where a run of instructions begins, -1 after its end
    int64_t *taken; // [segments][halfwords + 1]: entries by a taken branch
    int64_t *extra; // [segments]: cycles that depend on operands and conditions
    int64_t *code_stalls, *data_stalls; // [segments]: the flash model
    uint32_t segments;
    uint32_t flash_model; // 0 or 1
    uint32_t segment; // current
    uint32_t depth;
    uint32_t stack[MARK_DEPTH];
    uint32_t next; // address after the last block
    uint32_t failed; // address of something this model cannot count, or 0
    uint32_t line; // last line fetched
    uint32_t pending, pending_end,
        pending_branched; // halfwords of the current block that the flash model has yet to see
    uint64_t clock; // cycles so far, for the prefetch
    uint64_t fetched; // clock when the last line arrived
    cache_t code_cache, data_cache;
    const uint8_t *pipelined; // timing.Table
    const int64_t *spent; // [halfwords + 1]: sums of cycles less pipelined before each halfword
    int64_t taken_cycles; // timing.TAKEN
    int64_t time; // measured cycles so far; the same sum that machine.py makes of the counts
    int64_t event, gap; // when the last event marker was passed; the longest time between two
} probe_t;

static bool cache_hit(cache_t *cache, uint32_t tag, uint64_t now) {
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < cache->lines; i++) {
        if (cache->tag[i] == tag && cache->used[i]) {
            cache->used[i] = now;
            return true;
        }
        if (cache->used[i] < cache->used[oldest]) {
            oldest = i;
        }
    }
    cache->tag[oldest] = tag;
    cache->used[oldest] = now;
    return false;
}

// A line that is not cached arrives FLASH_WAIT cycles late after a branch; going straight on, the prefetch of the F4 began when the line
// before arrived, so the time spent in that line is saved.
// A block is followed when the next one begins, so that a marker in its middle can split it between two segments.
static void fetch_until(probe_t *p, uint32_t end) {
    for (; p->pending < end; p->pending++) {
        uint32_t line = (p->code_base + 2 * p->pending) >> LINE_BITS;
        if (line != p->line) {
            bool sequential = line == p->line + 1 && !p->pending_branched;
            if (!cache_hit(&p->code_cache, line, p->clock + 1)) {
                uint64_t spent = p->clock - p->fetched;
                uint64_t stall = !sequential ? FLASH_WAIT : spent > FLASH_WAIT ? 0 : FLASH_WAIT + 1 - spent;
                p->code_stalls[p->segment] += (int64_t)stall;
                p->clock += stall;
            }
            p->line = line;
            p->fetched = p->clock;
        }
        p->pending_branched = 0;
        p->clock += p->cycles[p->pending];
    }
}

void probe_block(uc_engine *uc, uint64_t address, uint32_t size, probe_t *p) {
    (void)uc;
    uint32_t first = ((uint32_t)address - p->code_base) >> 1, end = first + (size >> 1);
    if (first >= p->halfwords || end > p->halfwords || size == 0) {
        p->failed = (uint32_t)address;
        return;
    }
    int64_t *runs = p->runs + (size_t)p->segment * (p->halfwords + 1);
    runs[first]++;
    runs[end]--;
    bool branched = (uint32_t)address != p->next;
    if (branched) {
        p->taken[(size_t)p->segment * (p->halfwords + 1) + first]++;
    }
    if (p->segment != 0) {
        p->time += p->spent[end] - p->spent[first] + (branched ? p->pipelined[first] + p->taken_cycles : 0);
    }
    p->next = (uint32_t)address + size;
    if (p->flash_model) {
        fetch_until(p, p->pending_end);
        p->pending = first;
        p->pending_end = end;
        p->pending_branched = branched;
    }
}

// Bits of a magnitude.
static uint32_t bit_length(uint32_t v) {
    return v ? 32 - (uint32_t)__builtin_clz(v) : 0;
}

static bool condition_holds(uint32_t condition, uint32_t flags) {
    bool n = flags >> 31 & 1, z = flags >> 30 & 1, c = flags >> 29 & 1, v = flags >> 28 & 1, holds = true;
    switch (condition >> 1) {
        case 0:
            holds = z;
            break;
        case 1:
            holds = c;
            break;
        case 2:
            holds = n;
            break;
        case 3:
            holds = v;
            break;
        case 4:
            holds = c && !z;
            break;
        case 5:
            holds = n == v;
            break;
        case 6:
            holds = n == v && !z;
            break;
        default:
            return true;
    }
    return holds != (condition & 1);
}

static uint32_t read_register(uc_engine *uc, probe_t *p, int reg) {
    uint32_t value = 0;
    p->reg_read(uc, reg, &value);
    return value;
}

// The manual gives 2..12 cycles, early termination by the leading bits of both operands: modelled as 2 where the
// quotient is 0, else 3 and up with the quotient's length, 12 for 32 bits.
static uint32_t divide_cycles(uint32_t n, uint32_t d) {
    if (d == 0 || n < d) {
        return 2;
    }
    return 3 + (bit_length(n) - bit_length(d)) * 9 / 31;
}

static void add_extra(probe_t *p, int64_t cycles) {
    p->extra[p->segment] += cycles;
    p->time += p->segment != 0 ? cycles : 0;
}

// Set on the addresses whose `dynamic` is not PLAIN.
void probe_instruction(uc_engine *uc, uint64_t address, uint32_t size, probe_t *p) {
    (void)size;
    uint32_t at = ((uint32_t)address - p->code_base) >> 1;
    // Unicorn calls this for the instructions of an IT block that are run only, but does not say so: check.
    uint32_t condition = p->condition[at];
    if (condition < 14 && !condition_holds(condition, read_register(uc, p, UC_ARM_REG_CPSR))) {
        return;
    }
    add_extra(p, p->conditional[at]);
    switch (p->dynamic[at]) {
        case DYNAMIC_DIVIDE: {
            bool is_signed = !(p->code[2 * at] & 0x20);
            uint32_t n = read_register(uc, p, UC_ARM_REG_R0 + (p->code[2 * at] & 15));
            uint32_t d = read_register(uc, p, UC_ARM_REG_R0 + (p->code[2 * at + 2] & 15));
            if (is_signed) {
                n = (int32_t)n < 0 ? 0u - n : n;
                d = (int32_t)d < 0 ? 0u - d : d;
            }
            add_extra(p, (int64_t)divide_cycles(n, d) - p->cycles[at] - p->conditional[at]);
            break;
        }
        case MARK: {
            // The block was counted for the old segment as a whole: move what is left of it.
            uint32_t end = (p->next - p->code_base) >> 1;
            int64_t rest = p->spent[end] - p->spent[at];
            p->time -= p->segment != 0 ? rest : 0;
            if (p->flash_model) {
                fetch_until(p, at);
            }
            int64_t *runs = p->runs + (size_t)p->segment * (p->halfwords + 1);
            runs[at]--;
            runs[end]++;
            if (p->code[2 * at + 2] == 0x20) { // enter the segment in r0
                uint32_t segment = read_register(uc, p, UC_ARM_REG_R0);
                if (segment >= p->segments || p->depth >= MARK_DEPTH) {
                    p->failed = (uint32_t)address;
                    segment = 0;
                    p->depth = 0;
                }
                p->stack[p->depth++] = p->segment;
                p->segment = segment;
            } else if (p->code[2 * at + 2] == 0x22) { // event
                p->gap = p->time - p->event > p->gap ? p->time - p->event : p->gap;
                p->event = p->time;
            } else if (p->depth) { // leave
                p->segment = p->stack[--p->depth];
            } else {
                p->failed = (uint32_t)address;
            }
            runs = p->runs + (size_t)p->segment * (p->halfwords + 1);
            runs[at]++;
            runs[end]--;
            p->time += p->segment != 0 ? rest : 0;
            break;
        }
        default:
            break;
    }
}

// Unicorn (2.1) brings the state of the IT block up to date before it calls a hook on memory, and leaves it so at the end of
// a basic block that has left the IT block: the next instructions would be taken for conditional ones.
static void leave_it_block(uc_engine *uc, probe_t *p) {
    uint32_t flags = read_register(uc, p, UC_ARM_REG_CPSR);
    if (flags & IT_STATE) {
        flags &= ~IT_STATE;
        p->reg_write(uc, UC_ARM_REG_CPSR, &flags);
    }
}

// Set on all reads and writes. The manual: a halfword at an odd address is two accesses instead of one, a word at an address
// that is even but no multiple of 4 two, at an odd one three.
void probe_access(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, probe_t *p) {
    (void)type, (void)value;
    leave_it_block(uc, p);
    if (size == 4 && address % 4 != 0) {
        add_extra(p, address % 2 != 0 ? 2 : 1);
    } else if (size == 2 && address % 2 != 0) {
        add_extra(p, 1);
    }
}

// Set on reads of flash: weights, tables, literals.
void probe_read(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, probe_t *p) {
    (void)type, (void)size, (void)value;
    leave_it_block(uc, p);
    if (!cache_hit(&p->data_cache, (uint32_t)address >> LINE_BITS, ++p->clock)) {
        p->data_stalls[p->segment] += FLASH_WAIT;
        p->clock += FLASH_WAIT;
    }
}
