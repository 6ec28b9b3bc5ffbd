# Functions that run during inference (scheduled ones, as a timer or a camera would) and use the same model get a
# RuntimeError; other models work; a script that pulls the memory away from under an image gets an exception.

import gc

import inputs
import micropython
import rnnpool

blob = inputs.read("tiny.rnnp")
case = inputs.cases("tiny")[0]
pixels = inputs.pixels(case)
model = rnnpool.Model(blob)
other = rnnpool.Model(blob)


def name_of_error(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
        return "no exception"
    except Exception as error:
        return type(error).__name__


def during(image, call):
    # Calls `image`, and once during its inference `call`. Returns what becomes of both: value or name of the exception.
    outcome = []

    def scheduled(left):
        # It may run before the inference starts: the model is in use if it refuses to begin.
        if name_of_error(target.begin) == "RuntimeError":
            try:
                outcome.append(call())
            except Exception as error:
                outcome.append(type(error).__name__)
        elif left:
            micropython.schedule(scheduled, left - 1)

    micropython.schedule(scheduled, 10)
    try:
        result = image()
    except Exception as error:
        result = type(error).__name__
    return result, outcome


# The model itself.
target = model
expected = inputs.expected(case)
for call in (
    lambda: model.detect(pixels),
    lambda: model.begin(),
    lambda: model.feed(pixels),
    lambda: model.result(),
    lambda: model.selftest(),
):
    result, outcome = during(lambda: model.detect(pixels), call)
    print(result == expected, outcome)

# What does not run it, and the collector.
result, outcome = during(
    lambda: model.detect(pixels), lambda: (model.ram > 0, model.task, len(model.layers()), str(model)[:6])
)
print(result == expected, outcome)
result, outcome = during(lambda: model.detect(pixels), gc.collect)
print(result == expected, len(outcome))

# Another model.
result, outcome = during(lambda: model.detect(pixels), lambda: other.detect(pixels) == expected)
print(result == expected, outcome)

# While rows are fed.
model.begin()
result, outcome = during(lambda: model.feed(pixels), lambda: model.detect(pixels))
print(result, outcome, model.result() == expected)


def use(**made):
    global target
    target = rnnpool.Model(**made)


def refuses(call):
    # The inference fails with an exception, and then the model works if its memory is put right.
    result, outcome = during(lambda: target.detect(frame), call)
    print(result if isinstance(result, str) else result == expected, outcome)


# Memory that changes during inference: the frame ...
frame = bytearray(pixels)


def shrink():
    frame[:] = b"x"


use(source=blob)
refuses(shrink)
frame = bytearray(pixels)
refuses(lambda: None)
# ... the blob: moved, broken, or exchanged for another model ...
source = bytearray(blob)
use(source=source)


def move():
    gc.collect()
    keep.append(bytearray(len(source)))
    source.extend(bytes(4000))


keep = []
refuses(move)
refuses(lambda: None)


def break_operator():
    source[200] ^= 0xFF


use(source=source)
refuses(break_operator)
refuses(lambda: None)
break_operator()
refuses(lambda: None)


def break_header():
    source[22] = 0xFF


refuses(break_header)
print(name_of_error(lambda: target.name), name_of_error(str, target), name_of_error(target.layers))
source[22] = blob[22]
refuses(lambda: None)
# ... the arena: moved, written to, or given to another model that runs in it.
arena = bytearray(target.ram + 7)
use(source=blob, arena=arena)


def write():
    arena[:] = b"\xff" * len(arena)


refuses(write)
refuses(lambda: None)


def grow():
    keep.append(bytearray(len(arena)))
    arena.extend(bytes(5000))


refuses(grow)
refuses(lambda: None)
guest = rnnpool.Model(blob, arena=arena)
refuses(lambda: guest.detect(pixels) == expected)
refuses(lambda: None)


def shrink_arena():
    arena[:] = b"x"


refuses(shrink_arena)
refuses(lambda: None)
