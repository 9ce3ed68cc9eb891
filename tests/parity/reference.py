"""Runs a reference pipeline on given frames, boxes and sound, and writes every stage as .npy.

    python tests/parity/reference.py MODEL.toml --frames DIR --boxes boxes.json --sound voice.wav --out DIR
    python tests/parity/reference.py MODEL.toml --frames frames.bgr --frame-size 1280x720 ...

Frames: a folder of PNG files in the order of their names, or raw BGR, 8 bits. Boxes: JSON, [[x0, y0, x1, y1], ...], one for each
frame, null where there is no face; or {"detections": [...], "pads": [t, b, l, r], "smooth": 5} for Wav2Lip's own padding and
smoothing; or {"landmarks": [[[x, y] * 110], ...]} for the U-Nets' square. `--sound`: a sound file, or the feature rows (.npy)
for HuBERT or WeNet. `--backend torch` runs NAME.pt in PyTorch instead of the ONNX file.

Writes, with n = the number of frames for which there is sound and a picture:
  mel.npy [80,N] f64, starts.npy [windows] first mel column of each, features.npy [F,512] f32 (U-Nets),
  sound.npy [n,...] f32, image.npy [n,6,S,S] f32, output.npy [n,3,S,S] f32, crop.npy [n,C,C,3] u8 (border included),
  boxes.npy [n,4] (-1: no face), frames.npy [n,H,W,3] u8 BGR, and meta.json.
"""

import argparse
import json
import tomllib
from pathlib import Path

import cv2
import numpy as np

import picture
from pipeline import Pipeline


def load_frames(path, size):
    """A list of [H,W,3] BGR frames."""
    if path.is_dir():
        frames = [cv2.imread(str(p), cv2.IMREAD_COLOR) for p in sorted(path.glob("*.png"))]
        if not frames or any(f is None for f in frames):
            raise ValueError(f"{path}: no PNG files, or one that cannot be read")
        return frames
    if not size:
        raise ValueError("raw frames need --frame-size WIDTHxHEIGHT")
    width, height = (int(v) for v in size.split("x"))
    data = np.fromfile(path, np.uint8)
    if data.size == 0 or data.size % (width * height * 3):
        raise ValueError(f"{path}: {data.size} bytes are no whole number of {width}x{height} BGR frames")
    return list(data.reshape(-1, height, width, 3))


def load_boxes(path, frame):
    """One box or None for each frame; see the top of this file."""
    stored = json.loads(Path(path).read_text())
    if isinstance(stored, dict) and "landmarks" in stored:
        return [picture.landmark_box(points) for points in stored["landmarks"]]
    if isinstance(stored, dict):
        size = (frame.shape[1], frame.shape[0])
        return picture.wav2lip_boxes(stored["detections"], size, stored.get("pads", (0, 10, 0, 0)), stored.get("smooth", 5))
    return [tuple(box) if box else None for box in stored]


def open_pipeline(manifest, backend):
    if tomllib.loads(Path(manifest).read_text())["family"] in ("musetalk", "dinet"):
        from networks import Networks

        return Networks(manifest, backend)
    return Pipeline(manifest, backend)


def run(pipeline, frames, boxes, limit=None):
    """Every stage of every frame, as a dictionary of arrays. A frame without a box comes out as it went in."""
    count = min(len(frames), len(boxes), pipeline.frames_heard(), limit or len(frames))
    steps = [pipeline.frame(i, frames[i], boxes[i]) if boxes[i] else None for i in range(count)]
    drawn = [step for step in steps if step]
    if not drawn:
        raise ValueError("no frame has a box")
    blank = {key: np.zeros_like(getattr(drawn[0], key)) for key in ("image", "output", "crop", "latents")}

    def gather(key):
        return np.stack([getattr(step, key) if step else blank[key] for step in steps])

    out = {
        "image": gather("image")[:, 0], "output": gather("output")[:, 0], "crop": gather("crop"),
        **({"latents": gather("latents")[:, 0]} if drawn[0].latents is not None else {}),
        "sound": np.concatenate([pipeline.window(i) for i in range(count)]),
        "frames": np.stack([step.frame if step else frames[i] for i, step in enumerate(steps)]),
        "boxes": np.array([box or (-1,) * 4 for box in boxes[:count]]),
        "mel": pipeline.mel, "starts": pipeline.starts, "features": pipeline.table,
    }  # fmt: skip
    return {key: np.asarray(value) for key, value in out.items() if value is not None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest")
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--frame-size", metavar="WIDTHxHEIGHT")
    parser.add_argument("--boxes", required=True)
    parser.add_argument("--sound", required=True)
    parser.add_argument("--frame-rate", type=float, default=25.0)
    parser.add_argument("--backend", choices=["onnxruntime", "torch"], default="onnxruntime")
    parser.add_argument("--limit", type=int, help="frames at most")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pipeline = open_pipeline(args.manifest, args.backend)
    pipeline.listen(args.sound, args.frame_rate)
    frames = load_frames(args.frames, args.frame_size)
    arrays = run(pipeline, frames, load_boxes(args.boxes, frames[0]), args.limit)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(args.out / f"{name}.npy", array)
    meta = {"manifest": Path(args.manifest).name, "backend": args.backend, "frame-rate": args.frame_rate,
            "opencv": cv2.__version__, "shapes": {name: list(array.shape) for name, array in arrays.items()}}  # fmt: skip
    (args.out / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    print(json.dumps(meta))


if __name__ == "__main__":
    main()
