# Work that has to wait for the last row (segments behind a map that is kept whole) is done in pieces: scheduled
# functions run between them (and so does Ctrl-C on a board, tests/qemu/test_interrupt.py).

import inputs
import micropython
import rnnpool

case = inputs.cases("classifier")[0]
blob = inputs.read("classifier.rnnp")
pixels = inputs.pixels(case)
last = len(pixels) - len(pixels) // case["height"]
model = rnnpool.Model(blob)
model.begin(format=rnnpool.RGB888)
model.feed(pixels)
expected = model.result()
print(len(expected))

count = 0
again = None


def tick(_):
    global count
    count += 1
    micropython.schedule(again, 0)


def nothing(_):
    pass


def feed_last_row(model):
    # Returns what feed() says; `count` becomes the number of events that were handled during it.
    global again, count
    model.begin(format=rnnpool.RGB888)
    model.feed(pixels[:last])
    count = 0
    again = tick
    micropython.schedule(tick, 0)
    try:
        return model.feed(pixels[last:])
    finally:
        again = nothing


# Events come between all steps.
print(feed_last_row(model), count > 8, model.result() == expected)
steps = count

# What a callback does there to its own model and its memory is noticed.
outcome = []


def meddle(_):
    again_later = micropython.schedule
    try:
        model.begin(format=rnnpool.RGB888)
    except RuntimeError:
        outcome.append(count)
    again_later(again, 0)


def feed_meddling():
    global tick
    before = tick
    try:
        tick = meddle
        return feed_last_row(model)
    finally:
        tick = before


print(feed_meddling(), len(outcome) > 8, model.result() == expected)

arena = bytearray(model.ram + 7)
model = rnnpool.Model(blob, arena=arena)
guest = rnnpool.Model(blob, arena=arena)
print(feed_last_row(model), count >= steps - 1, model.result() == expected)


def begin_another(_):
    micropython.schedule(steal if len(outcome) == 5 else begin_another, 0)
    outcome.append(0)


def steal(_):
    guest.begin(format=rnnpool.RGB888)


outcome.clear()
tick, before = begin_another, tick
try:
    print(feed_last_row(model))
except RuntimeError:
    print("RuntimeError", len(outcome))
tick = before
print(feed_last_row(model), model.result() == expected)
