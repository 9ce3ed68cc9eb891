"""Music without a voice, played on sampled instruments: what must not move a mouth.

    python training/music.py --out MUSIC [--each 160] [--kept]

Writes MUSIC/<n>.npy, 12 s of mono float32 at 16 kHz each: one instrument, a few, or a band with drums. Needs Debian's libfluidsynth3 and
fluid-soundfont-gm (FluidR3 GM, MIT), and no package of Python's but numpy.

Kept for measuring: every fourth instrument (KEPT), which --kept plays. Never played: choirs and what imitates voices (SUNG).
"""

import argparse
import ctypes
import pathlib
import sys

import numpy as np

import mel
import noise

SOUNDFONT = pathlib.Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
#: Programs of General MIDI, numbered from 0.
SUNG = (52, 53, 54, 85, 91)
KEPT = tuple(p for p in range(1, 120, 4) if p not in SUNG)
PLAYED = tuple(p for p in range(120) if p not in SUNG + KEPT)
#: The channel on which a synthesiser of General MIDI has its drums, and where the rest of them lies.
DRUMS = 9
BASSES, CHORDS = range(32, 40), (*range(0, 32), *range(40, 52), *range(88, 96))
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))


class Synthesiser:
    """FluidSynth with one soundfont."""

    def __init__(self, soundfont=SOUNDFONT):
        self.library = ctypes.CDLL("libfluidsynth.so.3")
        for name in ("new_fluid_settings", "new_fluid_synth"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.settings = ctypes.c_void_p(self.library.new_fluid_settings())
        self.library.fluid_settings_setnum(self.settings, b"synth.sample-rate", ctypes.c_double(mel.SAMPLE_RATE))
        self.synth = ctypes.c_void_p(self.library.new_fluid_synth(self.settings))
        if self.library.fluid_synth_sfload(self.synth, str(soundfont).encode(), 1) < 0:
            sys.exit(f"{soundfont} cannot be read: is fluid-soundfont-gm installed?")

    def choose(self, channel, program):
        self.library.fluid_synth_program_change(self.synth, channel, int(program))

    def on(self, channel, key, loud):
        self.library.fluid_synth_noteon(self.synth, channel, int(key), int(loud))

    def off(self, channel, key):
        self.library.fluid_synth_noteoff(self.synth, channel, int(key))

    def play(self, seconds):
        """What sounds in the next `seconds`."""
        count = int(seconds * mel.SAMPLE_RATE)
        sides = np.zeros((2, count), np.float32)
        left, right = (ctypes.c_void_p(side.ctypes.data) for side in sides)
        self.library.fluid_synth_write_float(self.synth, count, left, 0, 1, right, 0, 1)
        return sides.mean(0)

    def rest(self):
        self.library.fluid_synth_system_reset(self.synth)


def pick(random, among, programs):
    return random.choice([p for p in among if p in programs])


class Part:
    """One channel's instrument and how often, how long and how loud it plays."""

    def __init__(self, random, channel, program, low, keys, each):
        self.channel, self.program, self.low, self.keys, self.each = channel, program, low, keys, each
        self.long, self.loud = random.uniform(0.3, 1.2), random.uniform(45, 115)
        self.strum = random.random() < 0.3
        self.held = []


def band(random, programs):
    """The parts of a piece."""
    if random.random() < 0.45:  # alone, melody or chords
        return [Part(random, 0, random.choice(programs), random.integers(36, 66), random.choice([1, 1, 2, 4]), random.choice([1, 2, 2, 4]))]
    parts = [Part(random, 0, random.choice(programs), random.integers(55, 70), 1, random.choice([1, 2, 2, 4]))]
    if random.random() < 0.8:
        parts.append(Part(random, 1, pick(random, CHORDS, programs), random.integers(45, 58), random.choice([3, 4]), random.choice([1, 2, 4, 8])))
    if random.random() < 0.6:
        parts.append(Part(random, 2, pick(random, BASSES, programs), 33, 1, random.choice([2, 4])))
    return parts


def piece(synthesiser, random, programs=PLAYED, seconds=noise.SECONDS):
    """Samples of a piece that random numbers compose: sixteenths, each part on its own, and a beat in half of the bands."""
    synthesiser.rest()
    sixteenth = 15 / random.uniform(60, 180)
    scale, root = SCALES[random.integers(len(SCALES))], random.integers(12)
    parts = band(random, programs)
    drums = len(parts) > 1 and random.random() < 0.6
    beat = random.random((16, 5)) < np.array([0.25, 0.2, 0.5, 0.1, 0.1])
    for part in parts:
        synthesiser.choose(part.channel, part.program)
    out, place = [], 0
    for step in range(int(seconds / sixteenth) + 1):
        if step % 16 == 0:
            chord = random.integers(len(scale))
        for part in parts:
            if step % part.each:
                continue
            for key in part.held:
                synthesiser.off(part.channel, key)
            part.held = []
            if random.random() < 0.15:
                continue
            place = int(np.clip(place + random.integers(-2, 3), 0, 9)) if part.keys == 1 else 0
            for n in range(part.keys):
                at = chord + 2 * n + place
                key = part.low // 12 * 12 + root + scale[at % len(scale)] + 12 * (at // len(scale))
                synthesiser.on(part.channel, min(key, 108), np.clip(random.normal(part.loud, 8), 20, 127))
                part.held.append(min(key, 108))
                if part.strum:
                    out.append(synthesiser.play(0.012))
        if drums:
            for key in np.array([36, 38, 42, 46, 45])[beat[step % 16]]:
                synthesiser.on(DRUMS, key, random.integers(50, 120))
        out.append(synthesiser.play(sixteenth))
    return np.concatenate(out)[: int(seconds * mel.SAMPLE_RATE)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the pieces")
    parser.add_argument("--each", type=int, default=160, help="how many pieces")
    parser.add_argument("--kept", action="store_true", help="on the instruments that nothing learns from, other pieces")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    synthesiser, random = Synthesiser(), np.random.default_rng(int(arguments.kept))
    for n in range(arguments.each):
        played = piece(synthesiser, random, KEPT if arguments.kept else PLAYED)
        np.save(arguments.out / f"{n:03}.npy", played.astype(np.float32))


if __name__ == "__main__":
    main()
