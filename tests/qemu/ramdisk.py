"""Runs on the emulated board as boot.py: a FAT file system at /flash in memory that outlives a soft reset.

It stands in for the file system that a board has in its flash.
"""

import os

import uctypes
import vfs

ADDRESS = 0x21F00000  # ports/qemu/stm32f439.ld
BLOCK, BLOCKS = 512, 256  # of up to 2048


class RamDisk:
    """A block device (MicroPython's simple interface)."""

    def __init__(self):
        self.memory = uctypes.bytearray_at(ADDRESS, BLOCK * BLOCKS)

    def readblocks(self, number, buffer):
        """Reads whole blocks."""
        buffer[:] = self.memory[BLOCK * number : BLOCK * number + len(buffer)]

    def writeblocks(self, number, buffer):
        """Writes whole blocks."""
        self.memory[BLOCK * number : BLOCK * number + len(buffer)] = buffer

    def ioctl(self, request, _):
        """Size of the device."""
        return BLOCKS if request == 4 else BLOCK if request == 5 else 0


disk = RamDisk()
try:
    files = vfs.VfsFat(disk)
    vfs.mount(files, "/flash")
except OSError:
    vfs.VfsFat.mkfs(disk)
    vfs.mount(vfs.VfsFat(disk), "/flash")
os.chdir("/flash")
