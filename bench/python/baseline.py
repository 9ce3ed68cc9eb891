"""Times the original systems' way of doing it in Python, frame by frame, on given frames, boxes and sound. Prints JSON.

    python bench/python/baseline.py MODEL.toml --backend torch|onnxruntime --frames DIR --boxes boxes.json --sound voice.wav
    ... --streams 10       that many processes at once, each with its own network, started together
    ... --provider cuda    all networks on a card
    ... --follow-faces     find the face too, in every frame, instead of taking it out of boxes.json
    ... --interactive      print a line after the first frame and one when warm, then for each line "N" on standard input time
                           N frames and print a line of their milliseconds: how `cargo xtask bench` interleaves stacks

The pipeline is the one that tests/parity checks: OpenCV on 8-bit frames, the network in PyTorch eager or ONNX Runtime with its
default options, one frame at a time. The audio features of the whole file are made first, as the original does; what that
costs is given by itself (`sound-ms-per-frame`) and is not part of `frame`. Reading the frames is not timed.

In the result: `frame` = face (with --follow-faces) + crop + tensor + network + paste; `network` = the call alone. Milliseconds: median, p10, p90, p99, min,
max. `start`: seconds from the start of the process. Memory: `peak-rss-mib`; for streams also `pss-mib`, which counts a page
that several processes share once.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "parity"))

import reference  # noqa: E402
from pipeline import Pipeline  # noqa: E402


def process_age():
    """Seconds since this process was started."""
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def pss_mib():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def spread(seconds):
    ms = np.asarray(seconds) * 1000
    low, median, high, worst = np.percentile(ms, [10, 50, 90, 99])
    named = dict(median=median, p10=low, p90=high, p99=worst, min=ms.min(), max=ms.max())
    return {key: round(float(value), 3) for key, value in named.items()}


class Baseline:
    """A pipeline with its frames, that notes how long the frames and the network inside them take."""

    def __init__(self, args):
        self.start = {"imports": process_age()}
        at = time.perf_counter()
        self.pipeline = Pipeline(args.manifest, args.backend, args.threads, args.provider)
        self.follower = None
        if args.follow_faces:
            from follow import Follower

            self.follower = Follower(self.pipeline.family, args.threads, args.provider)
        self.start["load-network"] = time.perf_counter() - at
        at = time.perf_counter()
        self.pipeline.listen(args.sound, args.frame_rate)
        self.start["sound"] = time.perf_counter() - at
        frames = reference.load_frames(args.frames, args.frame_size)
        boxes = reference.load_boxes(args.boxes, frames[0])
        count = min(len(frames), len(boxes), self.pipeline.frames_heard())
        self.work = [(i, frames[i], boxes[i]) for i in range(count) if boxes[i]]
        if not self.work:
            raise SystemExit("no frame has both a box and sound")
        self.at = 0
        run = self.pipeline.run

        def timed(*arrays):
            begin = time.perf_counter()
            output = run(*arrays)
            self.in_network += time.perf_counter() - begin
            return output

        self.pipeline.run = timed
        frame, network = self.next()
        self.start["first-frame"] = frame
        self.start["to-first-frame"] = sum(self.start.values())
        self.start["first-network-call"] = network

    def next(self):
        """Seconds for the next frame, and for the network in it."""
        work, self.in_network = self.work[self.at % len(self.work)], 0.0
        self.at += 1
        begin = time.perf_counter()
        if self.follower:
            index, frame, _ = work
            work = index, frame, self.follower.box(frame)
        self.pipeline.frame(*work)
        return time.perf_counter() - begin, self.in_network

    def measure(self, count):
        """(seconds of each frame, seconds of each network call)"""
        return tuple(zip(*(self.next() for _ in range(count))))

    def result(self, frames, networks):
        return {
            "frame-ms": spread(frames),
            "network-ms": spread(networks),
            "sound-ms-per-frame": round(1000 * self.start["sound"] / self.pipeline.frames_heard(), 3),
            "start-s": {key: round(value, 4) for key, value in self.start.items()},
            "peak-rss-mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }


def describe(args):
    runtime = "torch" if args.backend == "torch" else "onnxruntime" + ("-gpu" if args.provider == "cuda" else "")
    packages = ["numpy", "opencv-python-headless", "librosa", runtime]
    return {
        "stack": f"python-{args.backend}", "model": Path(args.manifest).stem, "frames": args.count, "warm-up": args.warm_up,
        "provider": args.provider, "threads": args.threads or "default", "processors": len(os.sched_getaffinity(0)), "machine": platform.machine(),
        "python": platform.python_version(), "packages": {name: version(name) for name in packages},
    }  # fmt: skip


def stream(args, begin, end, results):
    """One of several processes: ready, go together, measure, stay until all have measured their memory."""
    baseline = Baseline(args)
    baseline.measure(args.warm_up)
    begin.wait()
    at = time.monotonic()
    frames, networks = baseline.measure(args.count)
    until = time.monotonic()
    end.wait()
    results.put((at, until, frames, pss_mib(), baseline.result(frames, networks)))
    end.wait()


def streams(args):
    context = multiprocessing.get_context("spawn")
    begin, end, queue = context.Barrier(args.streams), context.Barrier(args.streams), context.SimpleQueue()
    children = [context.Process(target=stream, args=(args, begin, end, queue)) for _ in range(args.streams)]
    for child in children:
        child.start()
    parts = []
    while len(parts) < args.streams:
        if queue.empty():
            if any(child.exitcode for child in children):
                for child in children:
                    child.kill()
                raise SystemExit("a stream failed; its message is above")
            time.sleep(0.05)
        else:
            parts.append(queue.get())
    for child in children:
        child.join()
    wall = max(p[1] for p in parts) - min(p[0] for p in parts)
    return {
        "streams": args.streams,
        "frames-per-second": round(args.streams * args.count / wall, 3),
        "frame-ms": [round(seconds * 1000, 3) for p in parts for seconds in p[2]],
        "memory": {
            "pss-mib": round(sum(p[3] for p in parts), 1),
            "peak-rss-mib": round(sum(p[4]["peak-rss-mib"] for p in parts), 1),
        },
    }


def interactive(baseline, args):
    print(json.dumps({"first-frame": True}), flush=True)
    baseline.measure(args.warm_up)
    print(json.dumps({"ready": {**describe(args), **baseline.result(*baseline.measure(1))}}), flush=True)
    for line in sys.stdin:
        frames, networks = baseline.measure(int(line))
        print(json.dumps({"frame-ms": [s * 1000 for s in frames], "network-ms": [s * 1000 for s in networks]}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest")
    parser.add_argument("--backend", choices=["torch", "onnxruntime"], required=True)
    parser.add_argument("--frames", type=Path, required=True, help="folder of PNG, or raw BGR")
    parser.add_argument("--frame-size", metavar="WIDTHxHEIGHT", help="of raw frames")
    parser.add_argument("--boxes", required=True)
    parser.add_argument("--sound", required=True)
    parser.add_argument("--frame-rate", type=float, default=25.0)
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="of the network; 0 = the library's own choice")
    parser.add_argument("--count", type=int, default=50, help="frames to time, in each stream")
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--streams", type=int, default=0, help="processes at once")
    parser.add_argument("--follow-faces", action="store_true")
    parser.add_argument("--interactive", action="store_true")
    args = parser.parse_args()
    if args.streams:
        print(json.dumps({**describe(args), **streams(args)}))
        return
    baseline = Baseline(args)
    if args.interactive:
        interactive(baseline, args)
        return
    baseline.measure(args.warm_up)
    print(json.dumps({**describe(args), **baseline.result(*baseline.measure(args.count))}, indent=1))


if __name__ == "__main__":
    main()
