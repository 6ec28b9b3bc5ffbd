#!/bin/sh
# Follows a newcomer: a bare Debian 12 in FOLDER, `make` and `git` in it, a clone of this repository, then a command. Says how
# many packages and megabytes it brought, and how long it took. For root, with debootstrap; the tables of docs/computer.md.
#
#     tools/bare_debian.sh FOLDER make demo
#     tools/bare_debian.sh FOLDER tools/debian_packages.sh test
#
# FOLDER must not exist, or be one that this made: the next command goes on in it. MIRROR: another one than debootstrap's.
# pip's settings of this machine (pip.conf, PIP_*) and its certificates go along, so that what works here works there.
set -eu
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "bare_debian.sh: only root can do that" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "bare_debian.sh: apt-get install debootstrap" >&2; exit 1; }
source=$(cd "$(dirname "$0")/.." && pwd)
root=$1
shift

inside() {
    env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        $(env | grep '^PIP_[A-Z_]*=[^ ]*$') chroot "$root" sh -c "$1"
}
# Packages, and megabytes of the files: without those that apt keeps for later.
packages() { inside "dpkg-query -f '\${db:Status-Abbrev}\n' -W | grep -c ^ii"; }
megabytes() { du -smx --exclude="$root/var/cache/apt" --exclude="$root/var/lib/apt" "$root" | cut -f1; }
certificates() {
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] || install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
}

if [ ! -e "$root/root/rnnpool" ]; then
    [ ! -e "$root" ] || { echo "bare_debian.sh: $root is there already" >&2; exit 1; }
    # shellcheck disable=SC2086  # nothing where MIRROR is not set
    debootstrap --variant=minbase bookworm "$root" ${MIRROR:-} >/dev/null
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    for file in /etc/pip.conf /etc/xdg/pip/* "$HOME/.config/pip/pip.conf"; do
        [ ! -e "$file" ] || install -D -m 644 "$file" "$root$file"
    done
    inside "apt-get update -qq && apt-get install -qq -y --no-install-recommends make git ca-certificates" >/dev/null 2>&1
    git clone -q --no-local "$source" "$root/root/rnnpool"
fi
trap 'umount "$root/dev/shm" "$root/dev" "$root/proc" 2>/dev/null' EXIT
mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/dev/shm"
certificates
echo "before: $(packages) packages, $(megabytes) MB" >&2
start=$(date +%s)
status=0
inside "cd /root/rnnpool && $*" || status=$?
seconds=$(($(date +%s) - start))
echo "after: $(packages) packages, $(megabytes) MB; $seconds seconds, exit status $status" >&2
[ ! -d "$root/root/rnnpool/build" ] || du -sm "$root/root/rnnpool/build" | sed "s#$root/root/rnnpool/##" >&2
exit $status
