"""Pictures of what the built-in mouth does badly, for its model card: each as it is, above as the plugin draws it.

    python training/limits.py --models models --media media --out docs/limits.jpg

Teeth that are nobody's; a coarse, turned face; something before the mouth from the first frame on; a mouth that is open in the first frame
and has to close. Both paintings are by Berthe Morisot and in the public domain. It runs gst-launch-1.0, which has to find the plugin
(GST_PLUGIN_PATH).
"""

import argparse
import pathlib
import subprocess
import tempfile

import cv2
import numpy as np

import geometry
from faces import FaceTracker

SIDE = 300
#: The microphone: where its head is in the canonical picture, how big, its colour.
MICROPHONE, RADIUS, GREY = (52.0, 52.0), 9.0, (70, 66, 62)
#: Frames that are drawn to speech, and to silence.
SPOKEN, SILENT = 200, 10
SILENCE = "audiotestsrc wave=silence num-buffers=100"


def drawn(picture, audio, frames, folder):
    """`picture` as a video of so many frames, as the plugin draws it to the audio of a branch of gst-launch-1.0."""
    path = pathlib.Path(folder) / "picture.png"
    cv2.imwrite(str(path), picture)
    line = (
        f"filesrc location={path} ! pngdec ! videoconvert ! imagefreeze num-buffers={frames} ! video/x-raw,framerate=25/1 ! l.video_sink "
        f"{audio} ! audioconvert ! audioresample ! l.audio_sink "
        "lipsyncbin name=l ! videoconvert ! video/x-raw,format=BGR ! fdsink l.audio_src ! fakesink"
    )
    height, width, _ = picture.shape
    row = (3 * width + 3) // 4 * 4
    with subprocess.Popen(["gst-launch-1.0", "-q", *line.split()], stdout=subprocess.PIPE) as pipeline:
        while len(data := pipeline.stdout.read(row * height)) == row * height:
            rows = np.frombuffer(data, np.uint8).reshape(height, row)
            yield rows[:, : 3 * width].reshape(height, width, 3).copy()
    if pipeline.returncode:
        raise SystemExit("gst-launch-1.0 failed: is the plugin in GST_PLUGIN_PATH?")


def lower_face(picture, matrix):
    """The canonical picture and some of what is round it, enlarged."""
    low, high = (geometry.apply(geometry.invert(matrix), np.array(p)) for p in ((2.0, -14.0), (93.0, 77.0)))
    low, high = np.maximum(low.astype(int), 0), high.astype(int)
    return cv2.resize(picture[low[1] : high[1], low[0] : high[0]], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def with_microphone(picture, matrix):
    back = geometry.invert(matrix)
    centre, foot = (geometry.apply(back, np.array(p)).round().astype(int) for p in (MICROPHONE, (66.0, 110.0)))
    scale = np.hypot(back[0, 0], back[1, 0])
    held = picture.copy()
    cv2.line(held, centre.tolist(), foot.tolist(), GREY, round(9 * scale), cv2.LINE_AA)
    cv2.circle(held, centre.tolist(), round(RADIUS * scale), tuple(c + 30 for c in GREY), -1, cv2.LINE_AA)
    return held


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder with the face models")
    parser.add_argument("--media", type=pathlib.Path, required=True, help="folder with the paintings and speech.wav")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    speech = f"filesrc location={arguments.media / 'speech.wav'} ! wavparse"
    tracker = FaceTracker(arguments.models)

    def opening(picture):
        mesh = tracker.first(picture)
        return geometry.opening(geometry.apply(geometry.fit_face(mesh), mesh)[geometry.LANDMARKS]) if mesh is not None else 0.0

    with tempfile.TemporaryDirectory() as folder:

        def widest(picture):
            """The frame with the widest mouth."""
            return max(drawn(picture, speech, SPOKEN, folder), key=opening)

        mauve, own = (cv2.imread(str(arguments.media / f"{name}.jpg")) for name in ("young-woman-in-mauve", "self-portrait-1885"))
        of_mauve, of_own = (geometry.fit_face(tracker.first(picture)) for picture in (mauve, own))
        wide, held = widest(mauve), with_microphone(mauve, of_mauve)
        *_, shut = drawn(wide, SILENCE, SILENT, folder)
        pairs = [(mauve, wide, of_mauve), (own, widest(own), of_own), (held, widest(held), of_mauve), (wide, shut, of_mauve)]
    rows = [np.hstack([lower_face(pair[i], pair[2]) for pair in pairs]) for i in (0, 1)]
    cv2.imwrite(str(arguments.out), np.vstack(rows))


if __name__ == "__main__":
    main()
