"""What a phone recogniser hears, as a teacher: how much of each class of phones is spoken at a time. For training alone, never shipped.

    python training/phones.py --data DATA        # writes DATA/phones/<clip>.npy

The recogniser is the one inside PyPI's `hama` (requirements.txt): a conformer with CTC, 50 frames a second. CTC says each phone
once, as a peak; here a peak is as wide as a phone is long. Phones that a mouth forms alike, or that the recogniser mixes up, are one class.
"""

import argparse
import importlib.resources
import pathlib

import numpy as np

import mel

#: Frames a second, and samples of a frame.
RATE = 50
HOP = mel.SAMPLE_RATE // RATE
#: Classes of phones. A phone belongs to the class that names it, or else its first letter.
CLASSES = (
    "p pʰ p͈ b ɓ β ʙ", "m ɱ", "f v ʋ ɸ", "t tʰ t͈ d ɖ ɗ ʈ", "n ɲ ñ", "ŋ ɴ", "k kʰ k͈ c g ɡ ɟ", "s s͈ z", "ʃ ʒ ʂ ʐ ɕ ʑ ç ʝ",
    "t͡ʃ d͡ʒ t͡ɕ t͡ɕʰ t͡ɕ͈", "θ ð", "l ɫ ɮ ʎ", "r ɾ ɽ", "ɹ ɻ", "h ħ x χ ɣ ɦ ʔ ʀ ʁ", "w wa we wi wʌ ɥ ʷ ɰ", "j ja je jo jʌ", "ju",
    "i ĩ ì ǐ", "ɪ ɪə ɨ", "e ẽ", "ɛ", "eɪ", "eə", "æ", "a à ã ä å ɐ", "ɑ", "ɒ", "aɪ", "aʊ", "ɔ", "ɔɪ", "o õ", "oʊ", "u ũ", "ʊ ʉ", "y ʏ ø œ ɵ",
    "ɯ ɯi ɤ", "ʌ", "ə ɘ ᵊ", "ɜ ɝ ɚ", "ː", "<wb>",
)  # fmt: skip
COUNT = len(CLASSES)
#: How wide a peak becomes, in frames (standard deviation).
WIDTH = 1.5


class Recogniser:
    def __init__(self):
        from hama import _engine, asr  # only here: nothing else needs it

        model = importlib.resources.files("hama.assets").joinpath("asr_waveform.hama").read_bytes()
        self.session = _engine.AsrSession(model)
        named = {phone: i for i, names in enumerate(CLASSES) for phone in names.split()}
        of_token = [named.get(t, named.get(t[:1])) for t in asr.ASRModel().decoder_tokens]
        self.groups = np.zeros((len(of_token), COUNT), np.float32)
        for token, group in enumerate(of_token):
            if group is not None:
                self.groups[token, group] = 1

    def hear(self, sound, longest=10):
        """Samples at 16 kHz -> how much of each class is spoken, 0..1: [T, COUNT], RATE frames a second, frame i centred on (i + 0.5) / RATE."""
        parts = []
        for start in range(0, len(sound), longest * mel.SAMPLE_RATE):
            part = np.zeros(max(mel.SAMPLE_RATE, min(longest * mel.SAMPLE_RATE, len(sound) - start)), np.float32)
            part[: len(sound) - start] = sound[start : start + len(part)]
            loudest = np.abs(part).max()
            heard = self.session.run(["log_probs"], {"waveform": part * (0.5 / loudest if loudest > 0.01 else 1)})[0][0]
            parts.append(np.exp(heard) @ self.groups)
        peaks = np.concatenate(parts)
        reach = int(3 * WIDTH)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / WIDTH) ** 2)
        return np.minimum(1, np.stack([np.convolve(p, kernel, "same") for p in peaks.T], 1)).astype(np.float32)


def at(heard, seconds):
    """What `Recogniser.hear` said at any times, between frames interpolated: [T, COUNT] -> [..., COUNT]. Outside nothing is spoken."""
    position = np.asarray(seconds) * RATE - 0.5
    low = np.floor(position).astype(int)
    share = (position - low)[..., None].astype(np.float32)
    padded = np.pad(heard, ((1, 1), (0, 0)))
    first, second = (padded[np.clip(i + 1, 0, len(padded) - 1)] for i in (low, low + 1))
    return first * (1 - share) + second * share


def change(heard):
    """How fast what is spoken changes, 1 on average over the speech: [T, COUNT] -> [T]."""
    padded = np.pad(heard, ((1, 1), (0, 0)), "edge")
    speed = np.abs(padded[2:] - padded[:-2]).sum(1)
    return speed / max(1e-6, speed[speed > 0.1].mean() if (speed > 0.1).any() else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    arguments = parser.parse_args()
    folder = arguments.data / "phones"
    folder.mkdir(exist_ok=True)
    recogniser = Recogniser()
    for path in sorted(arguments.data.glob("*.npz")):
        target = folder / f"{path.stem}.npy"
        if not target.exists():
            with np.load(path) as z:
                np.save(target, recogniser.hear(z["sound"]))


if __name__ == "__main__":
    main()
