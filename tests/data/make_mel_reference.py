"""Writes the fixtures of tests/pixels/sound.rs: a recorded sentence and its mel spectrum by librosa.

    python3 make_mel_reference.py sense_and_sensibility_01_austen_64kb-0880.wav

Needs numpy and librosa 0.11. The WAV (16 kHz mono) is described in README.md beside this file.
"""

import sys
import wave
from pathlib import Path

import librosa
import numpy as np

RATE = 16_000


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Wav2Lip's `audio.melspectrogram`, in float64: [80, columns]."""
    emphasised = samples - 0.97 * np.concatenate([[0.0], samples[:-1]])
    spectrum = librosa.stft(
        emphasised, n_fft=800, hop_length=200, win_length=800, pad_mode="constant"
    )
    bank = librosa.filters.mel(
        sr=RATE, n_fft=800, n_mels=80, fmin=55, fmax=7600, dtype=np.float64
    )
    decibel = 20 * np.log10(np.maximum(1e-5, bank @ np.abs(spectrum))) - 20
    return np.clip(8 * ((decibel + 100) / 100) - 4, -4, 4)


def main() -> None:
    folder = Path(__file__).parent
    with wave.open(sys.argv[1]) as file:
        assert file.getframerate() == RATE and file.getnchannels() == 1
        data = file.readframes(file.getnframes())
    samples = np.frombuffer(data, "<i2").astype(np.float64) / 32768
    mel = log_mel(samples)
    (folder / "speech.s16le").write_bytes(data)
    (folder / "speech_mel.f32le").write_bytes(mel.astype("<f4").tobytes())
    print(f"{len(samples)} samples, mel {mel.shape}, mean {mel.mean():.6f}")


if __name__ == "__main__":
    main()
