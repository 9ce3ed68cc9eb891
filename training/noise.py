"""Sounds that are not a voice, as log-mel spectra: rooms, hum, traffic, music, and other people talking.

Made from random numbers and, for the talkers, from the clips trained on. Every kind is at 0 dBFS (RMS), so that a level is a
shift: one unit of the log-mel is 12.5 dB.
"""

import numpy as np

import mel

UNIT_DB = 12.5
SECONDS = 12
#: Who may be heard without a mouth that moves: not the talkers, they are voices.
MUTE = ("white", "pink", "brown", "hum", "traffic", "clicks", "music", "beat")


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples)) + 1e-10)


def add(a, b):
    """Log-mel of the sum of two sounds that know nothing of each other: their powers add up."""
    return np.logaddexp(a * (np.log(10) / 0.8), b * (np.log(10) / 0.8)) * (0.8 / np.log(10))


def _coloured(random, tilt):
    spectrum = np.fft.rfft(random.standard_normal(SECONDS * mel.SAMPLE_RATE))
    hz = np.arange(len(spectrum)) / SECONDS
    return np.fft.irfft(spectrum * np.maximum(hz, 40) ** (-tilt / 2))


def _hum(random):
    t = np.arange(SECONDS * mel.SAMPLE_RATE) / mel.SAMPLE_RATE
    base = random.choice([50, 60, 100, 120]) * (1 + 0.01 * random.standard_normal())
    tones = sum(random.random() / k * np.sin(2 * np.pi * base * k * t + random.uniform(0, 6)) for k in range(1, 24))
    room = _coloured(random, 1.5)
    return tones + room / room.std() * random.uniform(0.1, 1)


def _traffic(random):
    steps = np.interp(np.linspace(0, 1, SECONDS * mel.SAMPLE_RATE), np.linspace(0, 1, 30), random.normal(0, 8, 30))
    return _coloured(random, random.uniform(0.5, 2)) * 10 ** (steps / 20)


def _clicks(random):
    """Keys, cups, paper: short bursts."""
    out = 0.01 * _coloured(random, 1.0)
    for at in random.integers(0, len(out) - 4000, 40):
        n = random.integers(100, 2500)
        out[at : at + n] += random.standard_normal(n) * np.exp(-np.arange(n) / (n / 5)) * random.uniform(0.2, 1)
    return out


def _music(random, drums):
    rate, out = mel.SAMPLE_RATE, np.zeros((SECONDS + 2) * mel.SAMPLE_RATE)
    beat = random.uniform(0.25, 0.6)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    root = random.uniform(80, 240)
    bright, sustain = random.uniform(0.6, 1.6), random.uniform(0.15, 1.0)
    for step in range(int(SECONDS / beat)):
        start = int(step * beat * rate)
        for note in random.choice(scale, random.integers(1, 4)):
            t = np.arange(int(rate * min(1.8, beat * random.uniform(0.8, 3)))) / rate
            hz = root * 2 ** ((note + 12 * random.integers(0, 2)) / 12)
            tone = sum(np.sin(2 * np.pi * hz * k * t + random.uniform(0, 6)) / k**bright for k in range(1, 14) if hz * k < 7800)
            out[start : start + len(t)] += tone * np.exp(-t / sustain) * np.minimum(1, t / 0.01) * np.minimum(1, (t[-1] - t) / 0.02)
        if drums:
            n = int(rate * random.uniform(0.04, 0.15))
            hit = random.standard_normal(n) * np.exp(-np.arange(n) / (n / 4))
            out[start : start + n] += hit * random.uniform(0.5, 3)
    return out[: SECONDS * rate]


def _talkers(random, voices, count):
    out = np.zeros(SECONDS * mel.SAMPLE_RATE)
    for _ in range(count):
        line = np.concatenate([voices[i] for i in random.integers(0, len(voices), SECONDS)])
        line = np.roll(line, random.integers(len(line)))[: len(out)]
        out[: len(line)] += line / (line.std() + 1e-6) * random.uniform(0.5, 1)
    return out


def library(random, voices, each=4):
    """kind -> list of log-mel spectra [80, C], not clipped, at 0 dBFS. `voices`: samples of people talking."""
    makers = {
        "white": lambda: _coloured(random, 0), "pink": lambda: _coloured(random, 1), "brown": lambda: _coloured(random, 2),
        "hum": lambda: _hum(random), "traffic": lambda: _traffic(random), "clicks": lambda: _clicks(random),
        "music": lambda: _music(random, False), "beat": lambda: _music(random, True),
        "talkers": lambda: _talkers(random, voices, random.integers(3, 9)),
    }  # fmt: skip
    made = {}
    for kind, maker in makers.items():
        made[kind] = []
        for _ in range(each):
            sound = maker()
            quiet = 0.05  # far from both ends of the spectrum's range; taken off again
            spectrum = mel.melspectrogram(sound * (quiet / np.sqrt(np.mean(sound**2)))).astype(np.float64)
            made[kind].append((spectrum - 20 * np.log10(quiet) / UNIT_DB).astype(np.float32))
    return made
