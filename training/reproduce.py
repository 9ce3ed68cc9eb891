"""From the clips to models/builtin in one command.

    python training/reproduce.py --clips CLIPS [MORE] --facegood FACEGOOD --work WORK [--out FOLDER] [--quick]

Runs the scripts of this folder one after the other, with the arguments that the model card names. A stage that is done is not
done again (WORK/<stage>.done says with which command), so a run that was broken off goes on where it was. The weights are written to
WORK/builtin unless --out names another folder. About an hour on one core.

--quick goes through all stages with a few steps of each: it shows that everything works, and its weights are worth nothing.
"""

import argparse
import os
import pathlib
import subprocess
import sys

from folds import FOLDS

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
#: The fold whose people are drawn at the end, to be looked at.
SHOWN = FOLDS[0]
#: Steps of the network that learns to hear.
HEAR_STEPS = 2400


def stages(clips, facegood, work, out, quick):
    """(name, script, arguments), in order."""
    data, speech, music, hear, sound, folds = (work / name for name in ("data", "speech", "music", "hear", "sound", "folds"))
    of_face = ["--facegood", facegood] if facegood else []
    hear_steps, steps = (["--steps", 2], ["--steps", 2]) if quick else (["--steps", HEAR_STEPS], [])
    return [
        ("prepare", "prepare.py", ["--clips", *clips, "--models", MODELS, "--out", data]),
        ("phones", "phones.py", ["--data", data]),
        ("speech", "spoken.py", ["--out", speech, "--each", 1 if quick else 70, *of_face]),
        ("music", "music.py", ["--out", music, *(["--each", 2] if quick else [])]),
        ("hear", "learn.py", ["--speech", speech, "--hear", "--out", hear, *hear_steps]),
        ("sound", "learn.py", ["--speech", speech, "--data", data, "--music", music, "--start", hear / "audio2mouth.pt", "--out", sound, *steps]),
        ("renderer", "renderer.py", ["--data", data, "--out", work / "renderer", "--steps", 2 if quick else 3000]),
        ("export", "export.py", ["--data", data, "--audio2mouth", sound / "audio2mouth.pt", "--renderer", work / "renderer" / "renderer.pt", "--out", out]),
        ("folds", "folds.py",
         ["--data", data, "--speech", speech, "--music", music, "--start", hear / "audio2mouth.pt", "--renderer", out / "renderer.onnx", "--work", folds, *steps]),
        ("evaluate", "evaluate.py",
         ["--clips", *clips, "--data", data, "--models", MODELS, "--builtin", folds / "without-nothing" / "-".join(SHOWN), "--people", *SHOWN,
          "--sheets", work / "sheets", "--each", 1 if quick else 3]),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=pathlib.Path, nargs="+", required=True, help="folders with clips of the GRID corpus")
    parser.add_argument("--facegood", type=pathlib.Path, help="folder with FACEGOOD's takes; without it that face is not learned")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for what comes between")
    parser.add_argument("--out", type=pathlib.Path, help="folder for the networks and their manifest")
    parser.add_argument("--quick", action="store_true", help="a few steps of each stage")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    out = (arguments.out or work / "builtin").resolve()
    facegood = arguments.facegood and arguments.facegood.resolve()
    for name, script, options in stages([c.resolve() for c in arguments.clips], facegood, work, out, arguments.quick):
        command = [sys.executable, str(HERE / script), *map(str, options)]
        shown, done = " ".join(command[1:]), work / f"{name}.done"
        if done.exists() and done.read_text() == shown:
            print(f"{name}: done before", flush=True)
            continue
        print(f"{name}: {shown}", flush=True)
        # of small matrices, which more threads only wait for
        if subprocess.run(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}).returncode:
            sys.exit(f"{name} failed")
        done.write_text(shown)


if __name__ == "__main__":
    main()
