"""Writes speech_fbank.f32le: Kaldi's filter-bank energies of speech.s16le, by its definition in numpy alone.

    python3 make_fbank_reference.py [--check]

Needs numpy; with --check also kaldi_native_fbank, which is Kaldi's own code: prints how far the two are apart.

What `torchaudio.compliance.kaldi.fbank` computes as Ultralight-Digital-Human calls it (`data_utils/wenet_infer.py`,
`data_utils/FeaturePipeline.py`): 16 kHz, samples cut to 16 bits by `(x * 32767).astype(int16)`, 25 ms every 10 ms, only whole
frames, no dither, mean taken off, pre-emphasis 0.97, Povey's window, 512-point FFT, power, 80 triangles from 20 to 8000 Hz on
1127 ln(1 + f / 700), natural logarithm with a floor of 2**-23.
"""

import sys
from pathlib import Path

import numpy as np

RATE, LENGTH, SHIFT, FFT, BANDS = 16_000, 400, 160, 512, 80


def bank() -> np.ndarray:
    """[80, 257]"""
    mel = lambda hz: 1127 * np.log(1 + hz / 700)  # noqa: E731
    edges = np.linspace(mel(20), mel(RATE / 2), BANDS + 2)
    bins = mel(np.arange(FFT // 2 + 1) * RATE / FFT)
    left, centre, right = (edges[i : i + BANDS, None] for i in range(3))
    weights = np.maximum(0, np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)))
    weights[:, -1] = 0
    return weights


def fbank(samples: np.ndarray) -> np.ndarray:
    """Whole numbers -> [frames, 80], float64."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), LENGTH)[::SHIFT]
    frames = frames - frames.mean(1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    povey = np.hanning(LENGTH) ** 0.85
    power = np.abs(np.fft.rfft((frames - 0.97 * before) * povey, FFT)) ** 2
    return np.log(np.maximum(power @ bank().T, np.finfo(np.float32).eps))


def cut(samples: np.ndarray) -> np.ndarray:
    """16-bit samples as `wenet_infer.py` has them: -1..1, times 32767, cut."""
    return ((samples / 32768).astype(np.float32) * 32767).astype(np.int16)


def check(samples: np.ndarray) -> float:
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = BANDS
    online = kaldi_native_fbank.OnlineFbank(options)
    online.accept_waveform(RATE, samples.astype(float).tolist())
    theirs = np.array([online.get_frame(i) for i in range(online.num_frames_ready)])
    return float(np.abs(fbank(samples) - theirs).max())


def main() -> None:
    folder = Path(__file__).parent
    samples = cut(np.fromfile(folder / "speech.s16le", "<i2"))
    energies = fbank(samples)
    (folder / "speech_fbank.f32le").write_bytes(energies.astype("<f4").tobytes())
    print(f"{len(samples)} samples, fbank {energies.shape}, mean {energies.mean():.6f}")
    if "--check" in sys.argv[1:]:
        print(f"largest difference to kaldi_native_fbank: {check(samples):.2e}")


if __name__ == "__main__":
    main()
