# A visual wake word: wakes when a person comes into view and sleeps when nobody has been there for a while.
#
# While it sleeps it looks once in NAP_MS; in between, the clocks stand still where the port can do that
# (machine.lightsleep). Two thresholds keep it from wavering: it takes a clear person to wake, and some clear views of
# nobody, one after the other, to sleep again.
#
# Needs the person model: in the firmware (make BOARD=... MODELS=face,person firmware), or as /rom/person.rnnp.
import sys
import time

import rnnpool

try:
    from machine import lightsleep
except ImportError:  # this port can't

    def lightsleep(milliseconds):
        """Waits, awake."""
        time.sleep(milliseconds / 1000)


WIDTH, HEIGHT = 160, 120  # of the camera's frames, RGB565
WAKE = 0.6  # probability of a person from which it wakes
NOBODY = 0.3  # probability below which nobody is there
NOBODY_FRAMES = 3  # so many of those in a row, and it sleeps
NAP_MS = 500

try:
    camera = open("frames.raw", "rb")
except OSError:
    print("no frames.raw here; on the desktop:")
    print("python -m tools.frames pictures/ -o frames.raw --size 160x120 --format rgb565")
    sys.exit(2)


def next_frame(frame):
    """Fills `frame` and returns True; False if there are no more. Yours asks the camera; here they are in a file."""
    got = camera.readinto(frame)
    if 0 < got < len(frame):
        print("frames.raw ends within a frame: is it of %dx%d, RGB565?" % (WIDTH, HEIGHT))
    return got == len(frame)


def wake(chance):
    """What the device does for a person: a light, a display, a better camera."""
    print("wake: a person, %.2f" % chance)


def sleep(chance):
    """And what when all have gone."""
    print("sleep: nobody, %.2f" % chance)


frame = bytearray(2 * WIDTH * HEIGHT)
awake = False
nobody = 0
while next_frame(frame):
    chance = rnnpool.person_present(frame, width=WIDTH, height=HEIGHT, format=rnnpool.RGB565)
    nobody = nobody + 1 if chance < NOBODY else 0
    if not awake and chance > WAKE:
        awake = True
        wake(chance)
    elif awake and nobody == NOBODY_FRAMES:
        awake = False
        sleep(chance)
    if not awake:
        lightsleep(NAP_MS)
