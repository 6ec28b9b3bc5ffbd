#!/bin/sh
# Makes sure that the programs which a build needs are there: tries each of them, and installs the Debian packages of
# those that fail. Without root (or apt-get) it says which packages are missing and exits with 1.
#
#     tools/debian_packages.sh python    what tools need that run before anything is built
#     tools/debian_packages.sh build     what `make unix` and `make demo` need
#     tools/debian_packages.sh train     what training, `make venv` and `make eval` need
#     tools/debian_packages.sh stm32     what `make BOARD=... firmware` needs
#     tools/debian_packages.sh rp2       what `make BOARD=RPI_PICO firmware` needs: Raspberry Pi's SDK has C++ in it
#     tools/debian_packages.sh m4        what `make bench` and the emulated Cortex-M4 need
#     tools/debian_packages.sh web       what `make web` needs: the page for browsers
#     tools/debian_packages.sh rv32      what `make bench CORE=rv32` and `make natmod ARCH=rv32imc` need
#     tools/debian_packages.sh test      what `make test` needs: all of these and more
#
# PYTHON: the interpreter that virtual environments are made with (python3).
set -eu
group=${1:?python, build, train, stm32, rp2, m4, rv32, web or test}
python=${PYTHON:-python3}

has_cc() { printf '#include <stdio.h>\nint main(void) { return 0; }\n' | gcc -x c -o /dev/null -; }
has_python() { "$python" -c 'import sys'; }
has_venv() { "$python" -c 'import ensurepip, venv'; }
has_cxx() { printf '#include <vector>\nint main() { return 0; }\n' | g++ -x c++ -o /dev/null -; }
has_headers() { test -e "$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h"; }
has_m32() { printf '#include <stdio.h>\nint main(void) { return 0; }\n' | gcc -m32 -x c -o /dev/null -; }
has_clang() { printf 'int main(void) { return 0; }\n' | clang -x c -o /dev/null -; }
has_fuzzer() {
    printf '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return d && n > 8 ? -1 : 0; }\n' |
        clang -fsanitize=fuzzer,address,undefined -x c -o /dev/null -
}
has_arm() { printf '#include <string.h>\n' | arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -x c -c -o /dev/null -; }
has_arm_cxx() { printf '#include <cstdlib>\n' | arm-none-eabi-g++ -mcpu=cortex-m0plus -mthumb -x c++ -c -o /dev/null -; }
has_qemu() { qemu-system-arm --version; }
has_wasm() { printf 'int one(void) { return 1; }\n' | clang --target=wasm32 -nostdlib -Wl,--no-entry -x c -o /dev/null -; }
has_chromium() { command -v chromium; }
has_riscv() {
    printf '#include <string.h>\n' |
        riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 --specs=picolibc.specs -x c -c -o /dev/null -
}
has_qemu_riscv() { qemu-system-riscv32 --version; }
has_git() { git --version; }
has_cmake() { cmake --version; }

# The run-time library of clang's sanitizers is versioned, and only recommended by clang itself.
fuzzer_package() {
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    echo "libclang-rt-${version:-14}-dev"
}

# A Python that is there but too old is not mended by Debian's package.
check_python_version() {
    if ! has_python >/dev/null 2>&1; then
        [ "$python" = python3 ] && return 0 # Debian's package is that
        echo "rnnpool needs Python 3.11 or later, and there is no $python (PYTHON=)" >&2
        exit 1
    fi
    version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "rnnpool needs Python 3.11 or later, $python is $version: name another with make PYTHON=python3.12" >&2; exit 1; }
}

missing=
need() { # check, package, groups that need it
    case " $3 " in *" $group "*) ;; *) return 0 ;; esac
    "has_$1" >/dev/null 2>&1 || missing="$missing $2"
}
look() {
    missing=
    need cc "gcc libc6-dev" "build train stm32 rp2 m4 rv32 test"
    need python python3 "python build train stm32 rp2 m4 rv32 web test"
    need venv python3-venv "build train stm32 rp2 m4 rv32 test"
    need cxx g++ "train rp2 test"
    need headers python3-dev "train test"
    need arm "gcc-arm-none-eabi libnewlib-arm-none-eabi" "stm32 rp2 m4 test"
    need arm_cxx libstdc++-arm-none-eabi-newlib rp2
    need qemu qemu-system-arm "m4 test"
    need riscv "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf" "rv32 test"
    need qemu_riscv qemu-system-misc "rv32 test"
    need git git "stm32 rp2 test"
    need m32 gcc-multilib "test"
    need cmake cmake "rp2 test"
    need clang clang "test"
    need wasm "clang lld" "web test"
    need chromium chromium "test"
    need fuzzer "$(fuzzer_package)" "test"
}

case $group in python | build | train | stm32 | rp2 | m4 | rv32 | web | test) ;; *) echo "debian_packages.sh: python, build, train, stm32, rp2, m4, rv32, web or test, not $group" >&2; exit 2 ;; esac
check_python_version
look
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "rnnpool needs packages that are missing here:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
look # again: the name of a versioned package may be known only now
# shellcheck disable=SC2086  # a list of words
apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null
check_python_version
look
[ -z "$missing" ] || { echo "rnnpool: still not usable after installing them:$missing" >&2; exit 1; }
