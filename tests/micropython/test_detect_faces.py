# The model in the firmware: made when it is first used, kept, and forgotten when the interpreter starts anew.

import gc
import sys

import inputs
import rnnpool

try:
    rnnpool.detect_faces(b"")
    present = True
except ValueError:
    present = True
except OSError:
    present = False
if not present:
    # A firmware without a model says so, and finds one at /rom/face.rnnp.
    try:
        from vfs import VfsRom, mount, umount

        try:
            umount("/rom")  # a board's own
        except OSError:
            pass
        mount(VfsRom(memoryview(inputs.read("rom_face.img"))), "/rom")
    except (ImportError, OSError):
        inputs.skip("no model in this firmware, and no ROMFS")

frame = bytes(80 * 60)
size = {"width": 80, "height": 60}
first = rnnpool.detect_faces(frame, **size)
print(isinstance(first, list))
gc.collect()
before = gc.mem_alloc()
print(rnnpool.detect_faces(frame, **size) == first)
gc.collect()
# Kept: the arena is not allocated again.
print(gc.mem_alloc() - before < 1000)

# A second import is the same module with the same model.
import rnnpool as again  # noqa: E402

print(again is rnnpool, "rnnpool" in sys.modules)
gc.collect()
before = gc.mem_alloc()
again.detect_faces(frame, **size)
gc.collect()
print(gc.mem_alloc() - before < 1000)

# What a soft reset does: the module is initialised anew. The model is forgotten, the next call makes it again.
for _ in range(0 if inputs.NATIVE else 5):  # a native .mpy would be loaded a second time
    del sys.modules["rnnpool"]
    import rnnpool

    gc.collect()
    if rnnpool.detect_faces(frame, **size) != first:
        print("wrong after a new start")

# Arguments and errors are those of Model.detect().
for call in (
    lambda: rnnpool.detect_faces(),
    lambda: rnnpool.detect_faces(frame, frame),
    lambda: rnnpool.detect_faces(5),
    lambda: rnnpool.detect_faces(bytes(100)),
    lambda: rnnpool.detect_faces(frame),
    lambda: rnnpool.detect_faces(frame, threshold=2, **size),
    lambda: rnnpool.detect_faces(frame, colour=1, **size),
):
    try:
        call()
        print("no exception")
    except (TypeError, ValueError) as error:
        print(type(error).__name__)
print(rnnpool.detect_faces(bytes(40 * 30), width=40, height=30, threshold=1))
print(rnnpool.detect_faces(frame=frame, **size) == first)
print(rnnpool.detect_faces(frame, out=bytearray(640), **size) == len(first))
