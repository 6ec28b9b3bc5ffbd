# Faces on this computer's camera, in a window: for CPython, with OpenCV (pip install opencv-python). What the model
# gets is what it gets on a board.
#
#     python examples/webcam.py [CAMERA or VIDEO]      # 0: the first camera; q ends it
import sys

import rnnpool

try:
    import cv2
except ImportError:
    print("no OpenCV, which shows the camera: pip install opencv-python; on a board: examples/watch.py")
    sys.exit(2)

source = sys.argv[1] if len(sys.argv) > 1 else "0"
camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
if not camera.isOpened():
    print("no camera or video %s" % source)
    sys.exit(2)
while True:
    there, picture = camera.read()
    if not there:
        break
    height, width = picture.shape[:2]
    picture = cv2.resize(picture, (320, height * 320 // width))
    height, width = picture.shape[:2]
    faces = rnnpool.detect_faces(picture, width=width, height=height, format=rnnpool.BGR888, scale=(1, 0.4))
    for x, y, w, h, _ in faces:
        cv2.rectangle(picture, (x, y), (x + w, y + h), (59, 212, 255), 2)
    print(len(faces), "faces", *faces)
    cv2.imshow("rnnpool", cv2.resize(picture, (2 * width, 2 * height)))
    if cv2.waitKey(1) & 0xFF == ord("q"):
        break
camera.release()
