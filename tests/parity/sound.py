"""What the original systems hear: librosa's mel spectrum, Wav2Lip's windows, SyncTalk_2D's windows and feature rows.

Must not know networks or pictures. Every rule is that of the original offline scripts, edges included.
"""

import sys
from pathlib import Path

import librosa
import numpy as np
from scipy import signal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))

import make_fbank_reference as kaldi  # noqa: E402

RATE, HOP, WINDOW, BANDS = 16000, 200, 800, 80
#: Mel columns a second, and in a window.
COLUMNS_PER_SECOND, COLUMNS = 80.0, 16
#: Ultralight's WeNet: columns in a window and from one to the next, and 10 ms of silence before and behind the sound.
WENET_COLUMNS, WENET_STEP, WENET_BEFORE, WENET_BEHIND = 67, 5, 32, 35


def load(path):
    """Samples -1..1, float32, channels averaged, resampled to 16 kHz only where needed."""
    return librosa.load(path, sr=RATE)[0]


def mel_spectrum(samples):
    """Samples at 16 kHz -> [80, 1 + len // 200], float64, -4..4."""
    emphasised = signal.lfilter([1, -0.97], [1], samples)
    magnitude = np.abs(librosa.stft(y=emphasised, n_fft=WINDOW, hop_length=HOP, win_length=WINDOW))
    bank = librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=BANDS, fmin=55, fmax=7600)
    decibel = 20 * np.log10(np.maximum(np.exp(-5 * np.log(10)), bank @ magnitude)) - 20
    return np.clip(8 * ((decibel + 100) / 100) - 4, -4, 4)


def wav2lip_starts(columns, frame_rate):
    """First column of each frame's window. The frame whose window would run past the end takes the last one and is the last."""
    if columns < COLUMNS:
        raise ValueError(f"{columns} mel columns: the sound is shorter than one window of {COLUMNS} (0.19 s)")
    starts, per_frame = [], COLUMNS_PER_SECOND / frame_rate
    while True:
        start = int(len(starts) * per_frame)
        if start + COLUMNS > columns:
            return starts + [columns - COLUMNS]
        starts.append(start)


def ave_window_count(columns):
    """How many windows SyncTalk_2D makes; float64 on purpose: integers give another count for some lengths (384: 117, not 116)."""
    return int((columns - COLUMNS) / 80.0 * 25.0) + 2


def ave_starts(columns):
    """First column of each window; windows that would run past the end become the last one. 25 frames a second, always."""
    if columns < COLUMNS:
        raise ValueError(f"{columns} mel columns: the sound is shorter than one window of {COLUMNS} (0.19 s)")
    starts = [int(80.0 * (window / 25.0)) for window in range(ave_window_count(columns))]
    return [min(start, columns - COLUMNS) for start in starts]


def windows(mel, starts):
    """[len(starts), 1, 80, 16] float32."""
    return np.stack([mel[None, :, start : start + COLUMNS] for start in starts]).astype(np.float32)


def wenet_windows(samples):
    """Ultralight's `wenet_infer.py`: [R, 1, 67, 80] float32, the last window filled up with zeros."""
    whole = kaldi.cut(32768 * samples.astype(np.float64))
    silence = [np.zeros(160 * count, np.int16) for count in (WENET_BEFORE, WENET_BEHIND)]
    energies = kaldi.fbank(np.concatenate([silence[0], whole, silence[1]]))
    out, start, end = [], 0, 0
    while end < len(energies):
        end = start + WENET_COLUMNS
        window = energies[start:end]
        out.append(np.pad(window, ((0, WENET_COLUMNS - len(window)), (0, 0))))
        start += WENET_STEP
    return np.stack(out)[:, None].astype(np.float32)


def hubert_table(hear, samples):
    """Ultralight's `data_utils/hubert.py`: [F, 2, 1024], two rows for each frame of 25 a second, zeros where one is missing."""
    normalised = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    rows = hear(normalised.astype(np.float32))
    return np.pad(rows, ((0, len(rows) % 2), (0, 0))).reshape(-1, 2, rows.shape[1])


def feature_table(encoded):
    """The encoder's rows, the first and the last twice: row k + 1 belongs to window k."""
    return np.concatenate([encoded[:1], encoded, encoded[-1:]])


def feature_window(table, frame, rows, shape):
    """Rows frame - rows/2 .. frame + rows/2 - 1; zeros where the table has none; reinterpreted (row-major) as `shape`."""
    at = np.arange(frame - rows // 2, frame + rows // 2)
    inside = (at >= 0) & (at < len(table))
    out = np.zeros((rows, *table.shape[1:]), np.float32)
    out[inside] = table[at[inside]]
    return out.reshape(shape)
