# The person model in the firmware, or at /rom/person.rnnp: made when it is first used, and kept.

import gc
import sys

import inputs
import rnnpool

try:
    rnnpool.person_present(b"")
    present = True
except ValueError:
    present = True
except OSError as error:
    present = False
    missing = error
if not present:
    if missing.args[0] != 2 or "person" not in str(missing):
        print(missing)
    try:
        from vfs import VfsRom, mount, umount

        try:
            umount("/rom")  # a board's own
        except OSError:
            pass
        image = memoryview(inputs.read("rom_person.img"))
        mount(VfsRom(image), "/rom")
    except (ImportError, OSError):
        inputs.skip("no model in this firmware, and no ROMFS")
    # This one is known.
    for case in inputs.cases("classifier"):
        found = rnnpool.person_present(inputs.pixels(case), **inputs.arguments(case))
        if found != inputs.expected(case)[-1]:
            print("wrong:", case["name"], found)

frame = bytes(range(256)) * 75  # 160x120
size = {"width": 160, "height": 120}
first = rnnpool.person_present(frame, **size)
print(isinstance(first, float), 0 <= first < 1)
gc.collect()
before = gc.mem_alloc()
print(rnnpool.person_present(frame, **size) == first)
gc.collect()
print(gc.mem_alloc() - before < 1000)  # kept: the arena is not allocated again

for _ in range(0 if inputs.NATIVE else 3):  # as a soft reset does; a native .mpy would be loaded a second time
    del sys.modules["rnnpool"]
    import rnnpool

    gc.collect()
    if rnnpool.person_present(frame, **size) != first:
        print("wrong after a new start")

for call in (
    lambda: rnnpool.person_present(),
    lambda: rnnpool.person_present(frame, frame),
    lambda: rnnpool.person_present(5),
    lambda: rnnpool.person_present(bytes(100)),
    lambda: rnnpool.person_present(frame, out=bytearray(100), **size),
    lambda: rnnpool.person_present(frame, threshold=0.5, **size),
):
    try:
        call()
        print("no exception")
    except (TypeError, ValueError) as error:
        print(type(error).__name__)
print(rnnpool.person_present(frame=frame, **size) == first)
