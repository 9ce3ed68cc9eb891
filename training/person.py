"""A clip of one person: its face followed, cut into takes where the picture is, its sound; what teaches, chooses and reports.

Knows nothing of networks; personalize.py does.
"""

import subprocess

import cv2
import numpy as np

import audio2mouth
import geometry
import mel
import noise
import prepare
from faces import FaceTracker

#: Longer clips are cut: more of the same person teaches little, and pictures take memory.
LONGEST_SECONDS = 300
#: A run of frames with a face, without a cut, is used from this length on.
SHORTEST_TAKE = 25
#: The share of the clip, at its end, that the report is about.
REPORT = 0.2
#: The rest falls into so many blocks of at least so many frames, of which every fourth chooses.
BLOCKS, LEAST_BLOCK = 12, 15


def pictures(path, frames):
    """The first frames of a video, one at a time."""
    capture = cv2.VideoCapture(str(path))
    for _ in range(frames):
        ok, frame = capture.read()
        if not ok:
            return
        yield frame


def heard(path):
    """Mono samples at 16 kHz from the time of the first picture on; where the sound has gaps, as joined clips have, there is silence."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(mel.SAMPLE_RATE)]
    command += ["-af", "aresample=async=1:min_hard_comp=0.01:first_pts=0", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


class Take(audio2mouth.Clip):
    """Frames of the clip between two cuts, as a clip of its own: for audio2mouth's training; and what the renderer wants of it."""

    def __init__(self, person, first, last):
        self.name, self.person = f"{first}", "person"
        self.first, self.fps = first, person.fps
        points = person.points[first:last]
        self.points, self.crops = points, person.crops[first:last]
        self.rest = geometry.rest_mouth(points)
        self.raw = points - self.rest
        padded = np.pad(self.raw, ((1, 1), (0, 0), (0, 0)), "edge")
        self.shape = (0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]).astype(np.float32)
        at = (np.array([first, last]) / person.fps * mel.SAMPLE_RATE).astype(int)
        self.hear(person.sound[at[0] : at[1]])

    def hear(self, sound):
        self.sound, self.mel = sound, mel.melspectrogram(sound)
        self.settle()

    def settle(self):
        self.level = noise.level_db(self.sound)  # a block may be all words
        self.played, self.late, self.scale = [], 0.0, 1.0

    def windows(self, person, late):
        """What is heard at each frame, out of the whole clip's sound."""
        return audio2mouth.windows(person.mel, (self.first + np.arange(len(self.raw))) / self.fps + late)

    def part(self, low, high):
        """Some of its frames, with the same rest mouth."""
        other = object.__new__(Take)
        other.__dict__ = dict(self.__dict__)
        for name in ("points", "crops", "raw", "shape"):
            setattr(other, name, getattr(self, name)[low:high])
        at = (np.array([low, high]) / self.fps * mel.SAMPLE_RATE).astype(int)
        other.first = self.first + low
        other.hear(self.sound[at[0] : at[1]])
        return other


class Person:
    """The clip: tracked, cut into takes, its sound."""

    def __init__(self, path, models):
        capture = cv2.VideoCapture(str(path))
        self.path, self.fps = path, capture.get(cv2.CAP_PROP_FPS)
        if not capture.isOpened() or not self.fps > 0:
            raise SystemExit(f"{path} is not a video that can be read")
        capture.release()
        most = int(LONGEST_SECONDS * self.fps)
        try:
            self.sound = heard(path)
        except FileNotFoundError:
            raise SystemExit("ffmpeg is not installed; the clip's sound is read with it") from None
        except subprocess.CalledProcessError:
            raise SystemExit(f"{path} has no sound that ffmpeg can read") from None
        if len(self.sound) < mel.SAMPLE_RATE:
            raise SystemExit(f"{path} has no sound, or less than a second of it")
        self.mel = mel.melspectrogram(self.sound)
        meshes = FaceTracker(models).track(pictures(path, most))
        runs = self.runs(meshes)
        count = sum(last - first for first, last in runs)
        if count < 2 * SHORTEST_TAKE:
            raise SystemExit(f"{path}: {count} usable frames of {len(meshes)}; one face that stays in the picture is wanted, 15 s or more")
        self.points = np.zeros((len(meshes), geometry.COUNT, 2), np.float32)
        self.matrix = np.zeros((len(meshes), 2, 3))
        for first, last in runs:
            of_run = np.array(meshes[first:last])
            self.matrix[first:last] = prepare.smooth(np.array([geometry.fit_face(m) for m in of_run]))
            for i in range(first, last):
                self.points[i] = geometry.apply(self.matrix[i], meshes[i])[geometry.LANDMARKS]
        self.used = np.zeros(len(meshes), bool)
        for first, last in runs:
            self.used[first:last] = True
        self.crops = np.zeros((len(meshes), prepare.CROP, prepare.CROP, 3), np.uint8)
        for i, frame in enumerate(pictures(path, len(meshes))):
            if self.used[i]:
                self.crops[i] = prepare.crop(frame, self.matrix[i])
        self.takes = [Take(self, first, last) for first, last in runs]
        self.frames = count

    @staticmethod
    def runs(meshes):
        """Runs of frames with a face that does not jump: (first, last + 1)."""
        runs, start, centre = [], None, np.array([47.5, 47.5])
        before = None
        for i, mesh in enumerate([*meshes, None]):
            matrix = None if mesh is None else geometry.fit_face(mesh)
            jumps = before is not None and matrix is not None and (
                np.linalg.norm(geometry.apply(matrix, geometry.apply(geometry.invert(before), centre)) - centre) > prepare.JUMP
            )
            if start is not None and (matrix is None or jumps):
                if i - start >= SHORTEST_TAKE:
                    runs.append((start, i))
                start = None
            if start is None and matrix is not None:
                start = i
            before = matrix
        return runs

    def split(self):
        """The takes that teach, choose and report. Blocks that cuts leave too short teach and choose nothing."""
        parts = dict(teach=[], choose=[], report=[])
        border = (1 - REPORT) * self.frames
        length = max(LEAST_BLOCK, round(border / BLOCKS))
        at = block = 0
        for take in self.takes:
            n = len(take.raw)
            known = int(np.clip(border - at, 0, n))
            at += n
            for low in range(0, known - LEAST_BLOCK + 1, length):
                high = known if known - low - length < LEAST_BLOCK else low + length
                parts["choose" if block % 4 == 2 else "teach"].append(take.part(low, high))
                block += 1
            if n - known >= LEAST_BLOCK:
                parts["report"].append(take.part(known, n))
        return parts
