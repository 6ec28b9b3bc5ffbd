#!/bin/sh
# Makes sure that the programs which a build needs are there: tries each of them, and installs the Debian packages of
# those that fail. Without root (or apt-get) it says which packages are missing and exits with 1.
#
#     tools/debian_packages.sh build     what `make unix` and `make demo` need
#     tools/debian_packages.sh stm32     also what `make BOARD=... firmware` needs
#     tools/debian_packages.sh m4        also what `make bench` and the emulated Cortex-M4 need
#     tools/debian_packages.sh test      also what `make test` needs
#
# PYTHON: the interpreter that virtual environments are made with (python3).
set -eu
group=${1:?build, stm32, m4 or test}
python=${PYTHON:-python3}

has_cc() { printf '#include <stdio.h>\nint main(void) { return 0; }\n' | gcc -x c -o /dev/null -; }
has_python() { "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }
has_venv() { "$python" -c 'import ensurepip, venv'; }
has_cxx() { printf '#include <vector>\nint main() { return 0; }\n' | g++ -x c++ -o /dev/null -; }
has_m32() { printf '#include <stdio.h>\nint main(void) { return 0; }\n' | gcc -m32 -x c -o /dev/null -; }
has_clang() { printf 'int main(void) { return 0; }\n' | clang -x c -o /dev/null -; }
has_fuzzer() {
    printf '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return d && n > 8 ? -1 : 0; }\n' |
        clang -fsanitize=fuzzer,address,undefined -x c -o /dev/null -
}
has_arm() { printf '#include <string.h>\n' | arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -x c -c -o /dev/null -; }
has_qemu() { qemu-system-arm --version; }
has_git() { git --version; }

# The run-time library of clang's sanitizers is versioned, and only recommended by clang itself.
fuzzer_package() {
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    echo "libclang-rt-${version:-14}-dev"
}

missing=
need() { # check, package
    "has_$1" >/dev/null 2>&1 || missing="$missing $2"
}
look() {
    missing=
    need cc "gcc libc6-dev"
    need python python3
    need venv python3-venv
    if [ "$group" != build ]; then
        need arm "gcc-arm-none-eabi libnewlib-arm-none-eabi"
    fi
    if [ "$group" = m4 ] || [ "$group" = test ]; then
        need qemu qemu-system-arm
    fi
    if [ "$group" = stm32 ] || [ "$group" = test ]; then
        need git git
    fi
    if [ "$group" = test ]; then
        need cxx g++
        need m32 gcc-multilib
        need clang clang
        need fuzzer "$(fuzzer_package)"
    fi
}

look
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "rnnpool needs packages that are missing here: sudo apt-get install -y$missing" >&2
    exit 1
fi
echo "Installing Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
look # again: the name of a versioned package may be known only now
# shellcheck disable=SC2086  # a list of words
apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null
look
[ -z "$missing" ] || { echo "rnnpool: still not usable after installing them:$missing" >&2; exit 1; }
