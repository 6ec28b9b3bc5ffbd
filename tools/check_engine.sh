#!/bin/sh
# Checks what the engine promises (mp_module/engine/rnnp.h), on each of its files compiled on its own:
# no warning from gcc (64 and 32 bits) or clang, no floating point, no libc beyond memcpy, memset and memmove, no writable
# static data.
#
#     tools/check_engine.sh FOLDER_FOR_OBJECTS WARNING_FLAGS... -- SOURCES...
set -eu
objects=${1:?folder for objects}
shift
flags=
while [ "$1" != -- ]; do
    flags="$flags $1"
    shift
done
shift
[ $# -gt 0 ] || { echo "check_engine: no sources given" >&2; exit 1; }
mkdir -p "$objects"
failed=0
complain() {
    echo "check_engine: $1" >&2
    failed=1
}

for source in "$@"; do
    name=$(basename "$source" .c)
    for compiler in "gcc -O2 -Wconversion" "gcc -O2 -m32 -Wconversion" "clang -O2 -Wconversion -Wno-sign-conversion"; do
        # shellcheck disable=SC2086  # lists of words
        $compiler $flags -Imp_module -c -o "$objects/$name.o" "$source" || failed=1
    done
    # Without floating-point registers all floating point is a call of the compiler's library, and is seen below.
    # -fno-pie: tables of pointers are constant, as on a board, not to be relocated.
    # shellcheck disable=SC2086
    gcc $flags -Os -fno-pie -mgeneral-regs-only -ffunction-sections -Imp_module -c -o "$objects/$name.o" "$source" || failed=1
done
[ "$failed" = 0 ] || exit 1

for source in "$@"; do
    object=$objects/$(basename "$source" .c).o
    foreign=$(nm --undefined-only "$object" | awk '{ print $NF }' |
        grep -vE '^(rnnp_.*|memcpy|memset|memmove|_GLOBAL_OFFSET_TABLE_)$' | paste -sd' ' || true)
    [ -z "$foreign" ] || complain "$source calls what the engine must not call: $foreign"
    foreign=$(nm --defined-only --extern-only "$object" | awk '{ print $NF }' | grep -v '^rnnp_' | paste -sd' ' || true)
    [ -z "$foreign" ] || complain "$source exports names without the prefix rnnp_: $foreign"
    writable=$(nm --defined-only "$object" | awk '$2 ~ /^[bBdDcC]$/ && $NF !~ /^\./ { print $NF }' | paste -sd' ')
    [ -z "$writable" ] || complain "$source has writable static data: $writable"
done
exit "$failed"
