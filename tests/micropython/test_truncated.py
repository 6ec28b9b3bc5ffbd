# A blob cut off at any length is refused, wherever it comes from; nothing after its end is read.

import inputs
import rnnpool

blob = inputs.read("tiny.rnnp")
view = memoryview(blob)


def is_refused(make):
    try:
        make()
        return False
    except ValueError:
        return True


print(all(is_refused(lambda: rnnpool.Model(view[:n])) for n in range(len(blob))))
print(all(is_refused(lambda: rnnpool.required_ram(view[:n])) for n in range(len(blob))))

# At an odd address the blob is copied, as far as its header says.
shifted = memoryview(b"x" + blob)
print(all(is_refused(lambda: rnnpool.Model(shifted[1 : 1 + n])) for n in range(0, len(blob), 7)))

# More bytes than the blob has do not matter.
print(rnnpool.Model(blob + b"more").size == len(blob))
print(rnnpool.Model(memoryview(b"x" + blob + b"more")[1:]).size == len(blob))
