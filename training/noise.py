"""Sounds that are not a voice, as log-mel spectra: rooms, hum, traffic, music, and other people talking.

Made from random numbers and, for the talkers, from the clips trained on. Every kind is at 0 dBFS (RMS), so that a level is a
shift: one unit of the log-mel is 12.5 dB.
"""

import numpy as np

import mel

UNIT_DB = 12.5
SECONDS = 12
#: Who may be heard without a mouth that moves: not the talkers, they are voices.
MUTE = ("white", "pink", "brown", "hum", "traffic", "clicks", "music", "beat", "plucked", "struck", "held", "applause", "drops", "tones", "pieces")


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


def _notes(random, least, most):
    """When notes begin, in samples, and how high they are, in Hz: a few of a scale at once, one after the other."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 19])
    root, beat = random.uniform(65, 320), random.uniform(least, most)
    for step in range(int(SECONDS / beat)):
        start = step * beat * random.normal(1, 0.01)
        for i, note in enumerate(random.choice(scale, random.choice([1, 1, 1, 2, 4]))):
            yield int((start + i * random.uniform(0, 0.03)) * mel.SAMPLE_RATE), root * 2 ** (note / 12)


def _played(random, least, most, instrument):
    """What an `instrument`, a function of a note's Hz, plays."""
    out = np.zeros(SECONDS * mel.SAMPLE_RATE)
    for at, hz in _notes(random, least, most):
        tone = instrument(hz)[: len(out) - at]
        out[at : at + len(tone)] += tone * np.minimum(1, np.arange(len(tone), 0, -1) / 200)
    return out


def _plucked(random):
    """Strings: a burst of noise goes round a delay line and loses its highs with each turn (Karplus and Strong)."""
    dull, sustain, finger = random.uniform(0.1, 0.5), random.uniform(0.985, 0.9995), random.integers(0, 4)

    def string(hz):
        turn, turns = random.uniform(-1, 1, int(mel.SAMPLE_RATE / hz)) * random.uniform(0.4, 1), []
        for _ in range(finger):  # a soft one excites fewer of the highs
            turn = (turn + np.roll(turn, 1)) / 2
        for _ in range(int(random.uniform(0.2, 3) * hz)):
            turns.append(turn)
            turn = sustain * ((1 - dull) * turn + dull * np.roll(turn, 1))
        return np.concatenate([turn, *turns])

    return _played(random, 0.12, 0.6, string)


def _struck(random):
    """Pianos, bells, bars: partials that are no multiples of one another, the higher the sooner gone."""
    stiff, lasts, bright = random.choice([0, 3e-4, 2e-3, 0.05, 0.3]) * random.uniform(0.5, 2), random.uniform(0.15, 1.5), random.uniform(0.5, 2)
    count, beats = random.integers(3, 14), random.uniform(0, 0.004)

    def bar(hz):
        t = np.arange(int(mel.SAMPLE_RATE * min(3, 3 * lasts))) / mel.SAMPLE_RATE
        out = np.zeros(len(t))
        for k in range(1, count + 1):
            partial = hz * k * np.sqrt(1 + stiff * k * k) * (1 + beats * random.normal())
            if partial < 7800:
                out += np.sin(2 * np.pi * partial * t + random.uniform(0, 6)) * np.exp(-t / lasts * k**0.7) / k**bright
        return out * np.minimum(1, t / random.uniform(0.001, 0.01)) * random.uniform(0.4, 1)

    return _played(random, 0.12, 0.9, bar)


def _held(random):
    """Bowed strings, winds, organs: tones that last, swell and tremble, through the body of an instrument that does not change."""
    bright, attack = random.uniform(0.5, 2), random.uniform(0.02, 0.25)
    trembles, deep, odd = random.uniform(4, 7), random.uniform(0, 0.012), random.choice([0.05, 1])
    body = np.interp(np.arange(64) * 125, np.sort(random.uniform(100, 7800, 6)), random.uniform(-12, 6, 6))
    breath = random.uniform(0, 0.1)

    def tone(hz):
        t = np.arange(int(mel.SAMPLE_RATE * random.uniform(0.2, 2.5))) / mel.SAMPLE_RATE
        phase = 2 * np.pi * hz * (t + deep / (2 * np.pi * trembles) * np.sin(2 * np.pi * trembles * t))
        out = breath * random.standard_normal(len(t))
        for k in range(1, int(min(24, 7800 / hz)) + 1):
            out += np.sin(k * phase + random.uniform(0, 6)) / k**bright * (1 if k % 2 else odd) * 10 ** (np.interp(hz * k / 125, np.arange(64), body) / 20)
        return out * np.minimum(1, t / attack) * np.minimum(1, (t[-1] - t) / 0.05) * random.uniform(0.5, 1)

    return _played(random, 0.2, 1.5, tone)


def _applause(random):
    """Hands that clap, few or many, each with a pace and a colour of its own."""
    out = np.zeros((SECONDS + 1) * mel.SAMPLE_RATE)
    for _ in range(random.choice([1, 3, 30, 120])):
        n = random.integers(60, 400)
        hand = np.convolve(random.standard_normal(n) * np.exp(-np.arange(n) / (n / 5)), np.ones(random.integers(1, 8)))
        at, loud, pace = random.uniform(0, 0.4), random.uniform(0.1, 1), random.uniform(0.15, 0.5)
        while at < SECONDS:
            start = int(at * mel.SAMPLE_RATE)
            out[start : start + len(hand)] += hand * loud * random.uniform(0.6, 1)
            at += pace * random.normal(1, 0.08)
    return out[: SECONDS * mel.SAMPLE_RATE] + 1e-3 * _coloured(random, 1.0)


def _drops(random):
    """Rain, fire, gravel: many short knocks at random, on something that rings a little."""
    out = np.zeros((SECONDS + 1) * mel.SAMPLE_RATE)
    n = int(SECONDS * 10 ** random.uniform(1, 3.5))
    out[random.integers(0, SECONDS * mel.SAMPLE_RATE, n)] = random.standard_normal(n) * random.uniform(0.1, 1, n)
    t = np.arange(random.integers(16, 800))
    knock = np.exp(-6 * t / len(t)) * (np.sin(t * random.uniform(0.1, 2.5)) + random.uniform(0, 2) * random.standard_normal(len(t)))
    return np.convolve(out, knock)[: SECONDS * mel.SAMPLE_RATE] + 10 ** random.uniform(-4, -1) * _coloured(random, random.uniform(0, 2))


def _tones(random):
    """Sirens, telephones, engines, birds: a tone or a train of pulses whose pitch glides, held or cut into pieces."""
    t = np.arange(SECONDS * mel.SAMPLE_RATE) / mel.SAMPLE_RATE
    hz = 10 ** random.uniform(1.5, 3.7)
    every, swing = 10 ** random.uniform(-1, 1), random.choice([0, random.uniform(0, 0.6)])
    glide = np.sin(2 * np.pi * t / every) if random.random() < 0.5 else 2 * (t / every % 1) - 1
    phase = 2 * np.pi * np.cumsum(np.minimum(hz * (1 + swing * glide), 7000)) / mel.SAMPLE_RATE
    tone = random.choice([np.sin, lambda a: np.sign(np.sin(a)) * 0.7, lambda a: np.maximum(0, np.sin(a)) ** 8 * 3 - 0.8])(phase)
    tone = np.convolve(tone, np.ones(random.integers(1, 12)), "same")
    length = random.uniform(0.08, 2)
    cut = (t % (length * random.uniform(1.1, 3))) < length if random.random() < 0.5 else np.ones(len(t))
    return tone / tone.std() * np.convolve(cut, np.hanning(161) / 80, "same") + random.choice([0.001, 0.1, 0.5]) * _coloured(random, 1)


def _talkers(random, voices, count):
    out = np.zeros(SECONDS * mel.SAMPLE_RATE)
    for _ in range(count):
        line = np.concatenate([voices[i] for i in random.integers(0, len(voices), SECONDS)])
        line = np.roll(line, random.integers(len(line)))[: len(out)]
        out[: len(line)] += line / (line.std() + 1e-6) * random.uniform(0.5, 1)
    return out


def library(random, voices, pieces=(), each=16):
    """kind -> list of log-mel spectra [80, C], not clipped, at 0 dBFS. `voices`: samples of people talking; `pieces`: music (music.py)."""
    makers = {
        "white": lambda: _coloured(random, 0), "pink": lambda: _coloured(random, 1), "brown": lambda: _coloured(random, 2),
        "hum": lambda: _hum(random), "traffic": lambda: _traffic(random), "clicks": lambda: _clicks(random),
        "music": lambda: _music(random, False), "beat": lambda: _music(random, True),
        "plucked": lambda: _plucked(random), "struck": lambda: _struck(random), "held": lambda: _held(random), "applause": lambda: _applause(random),
        "drops": lambda: _drops(random), "tones": lambda: _tones(random),
    }  # fmt: skip
    if voices:
        makers["talkers"] = lambda: _talkers(random, voices, random.integers(3, 9))
    made = {kind: [_spectrum(maker()) for _ in range(each)] for kind, maker in makers.items()}
    return made | ({"pieces": [_spectrum(piece) for piece in pieces]} if len(pieces) else {})


def _spectrum(sound):
    quiet = 0.05  # far from both ends of the spectrum's range; taken off again
    spectrum = mel.melspectrogram(sound * (quiet / np.sqrt(np.mean(sound**2)))).astype(np.float64)
    return (spectrum - 20 * np.log10(quiet) / UNIT_DB).astype(np.float32)


def pick(random, sounds, count):
    """Names of kinds: music as often as all that is no voice together, which is of fewer kinds in the world."""
    kinds = list(sounds)
    share = np.where(np.isin(kinds, "pieces"), 0.6 * len(kinds), 1.0)
    return random.choice(kinds, count, p=share / share.sum())
