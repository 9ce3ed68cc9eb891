"""Make a still picture speak, to look at: picture + sound -> a sheet of frames (PNG) and, if wanted, a video.

    python training/portrait.py --models models --picture FACE.jpg --sound SPEECH.wav --sheet OUT.png [--video OUT.mp4]
"""

import argparse
import pathlib
import subprocess

import cv2
import numpy as np

import audio2mouth
import geometry
import mel
import prepare
from compose import Mouth
from faces import FaceTracker


def speak(models, picture, sound, fps=25, strength=1.0, folder=None):
    """The frames of `picture` speaking `sound` (16 kHz), and the picture's alignment."""
    mesh = FaceTracker(models).first(picture)
    if mesh is None:
        raise SystemExit("no face found in the picture")
    matrix = geometry.fit_face(mesh)
    source = geometry.apply(matrix, mesh)[geometry.LANDMARKS]
    mouth = Mouth(folder or models / "builtin")
    rest = mouth.at_rest(source[None])
    t = np.arange(int(len(sound) / mel.SAMPLE_RATE * fps)) / fps
    moved = mouth.displacement(audio2mouth.windows(mel.melspectrogram(sound), t)) * strength
    return [mouth.draw(picture, matrix, source, rest + d) for d in moved], matrix, moved


def sheet(frames, matrix, moved, columns=6, rows=3, side=320):
    """A contact sheet of the lower face: frames spread over time, sorted by nothing."""
    corners = geometry.apply(geometry.invert(matrix), np.array([[-6.0, -30], [101, -30], [101, 101], [-6, 101]]))
    low, high = np.maximum(corners.min(0).astype(int), 0), corners.max(0).astype(int)
    pick = np.linspace(0, len(frames) - 1, columns * rows).astype(int)
    cells = []
    for i in pick:
        cell = cv2.resize(frames[i][low[1] : high[1], low[0] : high[0]], (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.putText(cell, f"{i} {geometry.opening(moved[i]):.1f}", (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
        cells.append(cell)
    return np.vstack([np.hstack(cells[r * columns : (r + 1) * columns]) for r in range(rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder with the face models and builtin/")
    parser.add_argument("--builtin", type=pathlib.Path, help="folder of audio2mouth.onnx and renderer.onnx, if elsewhere")
    parser.add_argument("--picture", type=pathlib.Path, required=True)
    parser.add_argument("--sound", type=pathlib.Path, required=True)
    parser.add_argument("--sheet", type=pathlib.Path, required=True)
    parser.add_argument("--video", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--strength", type=float, default=1)
    arguments = parser.parse_args()
    picture = cv2.imread(str(arguments.picture))
    sound = prepare.read_sound(arguments.sound)[: int(arguments.seconds * mel.SAMPLE_RATE)]
    frames, matrix, moved = speak(arguments.models, picture, sound, strength=arguments.strength, folder=arguments.builtin)
    cv2.imwrite(str(arguments.sheet), sheet(frames, matrix, moved))
    if arguments.video:
        height, width = (n // 2 * 2 for n in picture.shape[:2])
        command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", "25",
                   "-i", "-", "-i", str(arguments.sound), "-shortest", "-pix_fmt", "yuv420p", str(arguments.video)]  # fmt: skip
        data = b"".join(np.ascontiguousarray(f[:height, :width]).tobytes() for f in frames)
        subprocess.run(command, input=data, check=True)


if __name__ == "__main__":
    main()
