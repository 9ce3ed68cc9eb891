"""Clips without a picture: synthetic voices that say what GRID's 51 words do not, and when their lips are shut.

flite tells when each phoneme begins and ends. What the mouth does between closures is taken from a network trained on
pictures, hearing the clean voice; in p, b and m the lips are made to meet. So training learns closures, other voices and
other words, and loses nothing else.
"""

import re
import subprocess
import tempfile

import numpy as np
import torch

import audio2mouth
import geometry
import mel
import prepare

#: Voices of flite 2.2; its fourth good one, kal16, is kept for measuring.
VOICES = ("slt", "rms", "awb")
FPS = 50
#: Lips close and open in about this time, in seconds.
RAMP = 0.055
#: The part of a phoneme in which the lips touch: p and b open with a burst before their end.
SHUT = {"p": (0.0, 0.65), "b": (0.0, 0.65), "m": (0.1, 0.9)}
WORDS = """
a the my your his our some many more most every any both same other another people baby brother mother member number summer winter
maybe always never often simply probably become begin bring build buy carry climb compare complete drop empty finish give
help hope jump keep leave love make move open pay perform play prepare prove pump remember repeat replace report save speak
stop swim tempt think travel trouble wash watch work write and but because before above below beyond by for from of on over
through to up upon with about black brown blue big small amber purple important impossible simple purely happy warm tiny
apple balloon beach bell bird bomb book bottle boy bubble butter cabin camera camp cap chamber chimney club comb copper cup
dream drum farm film flame game gap garden hammer harbour home image island jam job lamp letter map market mob moment money
moon month mouth museum name night paper parliament pepper piano picture pipe pepper plum pocket poem police pop problem
program pub rabbit ribbon river robe rope room sample shape sheep ship shop soap steam storm stream table tempo tube umbrella
village volume web weather whip window wolf zebra five seven thousand million him them some time came from them ham
""".split()  # fmt: skip


def sentence(random):
    return " ".join(random.choice(WORDS, random.integers(5, 9)))


def speak(voice, text):
    """Samples at 16 kHz and the phonemes, each with its begin and end in seconds."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", file.name]
        told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        samples = prepare.read_sound(file.name)
    phonemes, begin = [], 0.0
    for name, end in re.findall(r"([a-z]+):([0-9.]+)", told):
        phonemes.append((name, begin, float(end)))
        begin = float(end)
    return samples, phonemes


def open_share(phonemes, t):
    """How far the lips may open at times t: 0 in a closure, 1 away from all of them."""
    share = np.ones(len(t))
    for name, begin, end in phonemes:
        if name in SHUT:
            first, last = (begin + f * (end - begin) for f in SHUT[name])
            away = np.maximum(0, np.maximum(first - t, t - last)) / RAMP
            share = np.minimum(share, np.clip(away, 0, 1) ** 1.5)
    return share


class Voice(audio2mouth.Clip):
    """A sentence of a synthetic voice, with the mouth that `network` hears and the closures that the phonemes tell."""

    @torch.no_grad()
    def __init__(self, voice, text, network):
        self.sound, phonemes = speak(voice, text)
        self.sound = self.sound * 0.5
        self.mel, self.fps = mel.melspectrogram(self.sound), FPS
        self.name, self.person = text, f"flite-{voice}"
        t = np.arange(int(len(self.sound) / mel.SAMPLE_RATE * FPS)) / FPS
        codes = network.codes(torch.from_numpy(audio2mouth.windows(self.mel, t))[:, None])
        moved = (codes @ network.decoder.basis).view(-1, geometry.COUNT, 2).numpy()
        shut = np.maximum(geometry.gaps(moved), 0) * (1 - open_share(phonemes, t))[:, None]
        moved[..., 1] += geometry.CLOSE_WEIGHT * shut[:, geometry.CLOSE_PAIR]
        self.raw = self.shape = moved.astype(np.float32)
        self.settle()


def voices(network, each, seed=0):
    """`each` sentences of every voice, with the mouths of `network`."""
    random = np.random.default_rng(seed)
    network.eval()
    made = [Voice(v, sentence(random), network) for v in VOICES for _ in range(each)]
    network.train()
    return made
