"""Pictures of what the built-in mouth does badly, for its model card: each as it is, above as it is drawn.

    python training/limits.py --models models --mauve young-woman-in-mauve.jpg --self self-portrait-1885.jpg --sound SPEECH.wav --out docs/limits.jpg

Teeth that are nobody's; a coarse, turned face; something before the mouth from the first frame on; a mouth that is open in the first frame
and has to close. Both paintings are by Berthe Morisot and in the public domain.
"""

import argparse
import pathlib

import cv2
import numpy as np

import geometry
import mel
import portrait
import prepare

SIDE = 300
#: The microphone: where its head is in the canonical picture, how big, its colour.
MICROPHONE, RADIUS, GREY = (52.0, 52.0), 9.0, (70, 66, 62)


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
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder with the face models and builtin/")
    parser.add_argument("--mauve", type=pathlib.Path, required=True, help="Young Woman in Mauve, 1880")
    parser.add_argument("--self", type=pathlib.Path, required=True, dest="own", help="Self-portrait, 1885")
    parser.add_argument("--sound", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    sound = prepare.read_sound(arguments.sound)[: 8 * mel.SAMPLE_RATE]

    def widest(picture):
        """The frame with the widest mouth, and the alignment."""
        frames, matrix, moved = portrait.speak(arguments.models, picture, sound)
        return frames[int(np.argmax(geometry.opening(moved)))], matrix

    mauve, own = cv2.imread(str(arguments.mauve)), cv2.imread(str(arguments.own))
    wide, matrix = widest(mauve)
    held = with_microphone(mauve, matrix)
    shut, _, _ = portrait.speak(arguments.models, wide, np.zeros(mel.SAMPLE_RATE, np.float32))
    pairs = [(mauve, wide, matrix), (own, *widest(own)), (held, widest(held)[0], matrix), (wide, shut[0], matrix)]
    rows = [np.hstack([lower_face(pair[i], pair[2]) for pair in pairs]) for i in (0, 1)]
    cv2.imwrite(str(arguments.out), np.vstack(rows))


if __name__ == "__main__":
    main()
