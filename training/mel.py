"""The log-mel spectrum that Wav2Lip defined, exactly (hparams.py, audio.py of its repository), in plain numpy.

16 kHz mono -1..1; pre-emphasis 0.97; STFT of 800 samples, periodic Hann window, hop 200, centred, reflected edges; magnitude;
80 Slaney mel bands, Slaney-normalised, 55..7600 Hz; 20 log10(max(1e-5, M)) - 20; clip(8 (dB + 100) / 100 - 4, -4, 4).
80 columns a second; column k is centred on sample 200 k and sees samples 200 k - 400 .. 200 k + 400. Digital silence is -4.

`python training/mel.py` checks it against the golden vector.
"""

import numpy as np

SAMPLE_RATE = 16000
HOP = 200
WINDOW = 800
BANDS = 80
COLUMNS_PER_SECOND = SAMPLE_RATE / HOP


def _hz_to_mel(hz):
    return np.where(hz >= 1000, 15 + 27 * np.log(np.maximum(hz, 1e-9) / 1000) / np.log(6.4), hz * 3 / 200)


def _mel_to_hz(mel):
    return np.where(mel >= 15, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)), mel * 200 / 3)


def mel_matrix(low=55.0, high=7600.0):
    """The [80, 401] filter bank (librosa's defaults: Slaney scale and norm)."""
    bins = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    edges = _mel_to_hz(np.linspace(_hz_to_mel(np.array(low)), _hz_to_mel(np.array(high)), BANDS + 2))
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


MATRIX = mel_matrix()
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


def melspectrogram(samples):
    """Samples at 16 kHz -> [80, 1 + len // 200] in -4..4, float32."""
    samples = np.asarray(samples, np.float64)
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    padded = np.pad(emphasised, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * HANN, axis=1)).T
    decibel = 20 * np.log10(np.maximum(1e-5, MATRIX @ magnitude)) - 20
    return np.clip(8 * (decibel + 100) / 100 - 4, -4, 4).astype(np.float32)


def golden_error():
    """Largest difference to the golden vector (a tone and noise from a linear congruential generator)."""
    state, noise = 1, np.empty(16000)
    for i in range(16000):
        state = (state * 1664525 + 1013904223) % 2**32
        noise[i] = state / 2**32 - 0.5
    n = np.arange(16000)
    mel = melspectrogram(0.2 * noise + 0.5 * np.sin(2 * np.pi * 440 * n / 16000) * (n < 8000))
    golden = {(0, 10): -2.184204, (10, 10): 1.993307, (40, 10): -0.092624, (79, 10): 0.780292,
              (10, 50): -0.792186, (40, 50): -0.692733, (79, 50): 0.695759, (0, 0): -0.751879}  # fmt: skip
    return max(abs(mel[at] - value) for at, value in golden.items())


if __name__ == "__main__":
    print(f"largest difference to the golden vector: {golden_error():.1e}")
