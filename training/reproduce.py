"""From the clips to models/builtin in one command.

    python training/reproduce.py --clips CLIPS --work WORK [--out FOLDER] [--quick]

Runs the scripts of this folder one after the other, with the arguments that the model card names. A stage that is done is not
done again (WORK/<stage>.done says with which command), so a run that was broken off goes on where it was. The weights are written to
WORK/builtin unless --out names another folder. About three quarters of an hour on one core.

--quick goes through all stages with a few steps of each: it shows that everything works, and its weights are worth nothing.
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
#: Seeds of the first run over the sounds, and of those that go on from it, whose weights are averaged.
FIRST, AGAIN = 6, (1, 2, 3)


def stages(clips, work, out, quick):
    """(name, script, arguments), in order."""
    data, first, closures = (work / name for name in ("data", "sound", "closures"))
    again = {seed: work / f"again-{seed}" for seed in AGAIN}
    return [
        ("prepare", "prepare.py", ["--clips", clips, "--models", MODELS, "--out", data]),
        ("sound", "audio2mouth.py", ["--data", data, "--out", first, "--seed", FIRST, "--steps", 2 if quick else 4500]),
        *((folder.name, "audio2mouth.py",
           ["--data", data, "--out", folder, "--start", first / "audio2mouth.pt", "--seed", seed, "--steps", 2 if quick else 1500, "--rate", 1e-3])
          for seed, folder in again.items()),
        ("closures", "audio2mouth.py",
         ["--data", data, "--out", closures, "--start", *(folder / "audio2mouth.pt" for folder in again.values()), "--voices", 1 if quick else 36, "--tail-only",
          "--steps", 2 if quick else 900, "--rate", 6e-4, "--share", 0.7]),
        ("renderer", "renderer.py", ["--data", data, "--out", work / "renderer", "--steps", 2 if quick else 3000]),
        ("export", "export.py",
         ["--data", data, "--audio2mouth", closures / "audio2mouth.pt", "--renderer", work / "renderer" / "renderer.pt", "--out", out]),
        ("evaluate", "evaluate.py",
         ["--clips", clips, "--data", data, "--models", MODELS, "--builtin", out, "--sheets", work / "sheets", "--each", 1 if quick else 3]),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=pathlib.Path, required=True, help="folder with clips of the GRID corpus")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for what comes between")
    parser.add_argument("--out", type=pathlib.Path, help="folder for the networks and their manifest")
    parser.add_argument("--quick", action="store_true", help="a few steps of each stage")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    out = (arguments.out or work / "builtin").resolve()
    for name, script, options in stages(arguments.clips.resolve(), work, out, arguments.quick):
        command = [sys.executable, str(HERE / script), *map(str, options)]
        shown, done = " ".join(command[1:]), work / f"{name}.done"
        if done.exists() and done.read_text() == shown:
            print(f"{name}: done before", flush=True)
            continue
        print(f"{name}: {shown}", flush=True)
        if subprocess.run(command).returncode:
            sys.exit(f"{name} failed")
        done.write_text(shown)


if __name__ == "__main__":
    main()
