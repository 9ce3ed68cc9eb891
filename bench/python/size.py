"""Sums up the files of the packages that a Python stack needs, as they lie in site-packages. Prints JSON.

    python bench/python/size.py onnxruntime|torch

The stack's own packages and all that they require, found by their metadata. The interpreter and compiled `.pyc` files are not
counted. `nvidia-bytes`: NVIDIA's libraries, which a build of PyTorch for the CPU does without.
"""

import json
import re
import sys
from importlib import metadata

STACK = ["numpy", "scipy", "librosa", "soundfile", "opencv-python-headless"]


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def required(name, found):
    """Adds the installed package and what it requires here."""
    if plain(name) in found:
        return
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    found[plain(name)] = package
    for line in package.requires or []:
        requirement, _, marker = line.partition(";")
        if "extra" not in marker:
            required(re.match(r"[\w.-]+", requirement)[0], found)


def size(package):
    paths = [package.locate_file(file) for file in package.files or [] if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())


def main():
    found = {}
    for name in [*STACK, sys.argv[1]]:
        required(name, found)
    sizes = {name: size(package) for name, package in found.items()}
    nvidia = sum(size for name, size in sizes.items() if name.startswith(("nvidia", "cuda", "triton")))
    print(json.dumps({"packages": len(sizes), "bytes": sum(sizes.values()), "nvidia-bytes": nvidia}))


if __name__ == "__main__":
    main()
