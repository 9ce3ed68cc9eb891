"""Checks the reference pipelines against facts that are known independently of them.

    python tests/parity/check_reference.py [--original FOLDER]

`--original` is a checkout of the original system's repository; its stored mel spectra, feature rows and landmarks are compared
when they are there and skipped, with the reason, when not.
"""

import argparse
import json
import sys
import unittest
from pathlib import Path

import cv2
import numpy as np

import picture
import sound

ORIGINAL = None


def original(path):
    """A file of the original repository, or skips the test."""
    if not ORIGINAL:
        raise unittest.SkipTest("needs --original, a checkout of the original system's repository")
    found = Path(ORIGINAL) / path
    if not found.is_file():
        raise unittest.SkipTest(f"{found} is not there")
    return found


def tone_and_noise():
    """One second: noise of a linear congruential generator, and 440 Hz in the first half."""
    state, noise = 1, np.empty(16000)
    for i in range(16000):
        state = (state * 1664525 + 1013904223) % 2**32
        noise[i] = state / 2**32 - 0.5
    n = np.arange(16000)
    return 0.2 * noise + 0.5 * np.sin(2 * np.pi * 440 * n / 16000) * (n < 8000)


class Mel(unittest.TestCase):
    def test_golden_values(self):
        mel = sound.mel_spectrum(tone_and_noise())
        self.assertEqual(mel.shape, (80, 81))
        golden = {(0, 10): -2.184204, (10, 10): 1.993307, (40, 10): -0.092624, (79, 10): 0.780292,
                  (10, 50): -0.792186, (40, 50): -0.692733, (79, 50): 0.695759, (0, 0): -1.139038}  # fmt: skip
        for at, value in golden.items():
            self.assertAlmostEqual(mel[at], value, delta=1e-6, msg=f"band, column {at}")
        self.assertAlmostEqual(mel[:, 4:76].mean(), -0.145095, delta=1e-6)

    def test_silence_is_exactly_minus_four(self):
        np.testing.assert_array_equal(sound.mel_spectrum(np.zeros(4000)), -4)

    def test_original_speech(self):
        samples = np.load(original("go-monolithic-server/debug_output/python_step0_original.npy"))
        stored = np.load(original("go-monolithic-server/test_output/mel_spec_python_full.npy"))
        mel = sound.mel_spectrum(samples).T
        self.assertEqual(mel.shape, stored.shape)
        self.assertLess(np.abs(mel - stored).max(), 1e-12)

    def test_original_tone_and_clip(self):
        for name in ("reference_data_correct", "reference_data_video"):
            stored = json.loads(original(f"audio_test_data/{name}.json").read_text())
            arrays = [np.array(v) for v in stored.values() if isinstance(v, list)]
            samples = next(a for a in arrays if a.ndim == 1 and a.size == 10240)
            wanted = next(a for a in arrays if a.shape in ((52, 80), (80, 52)))
            mel = sound.mel_spectrum(samples)
            self.assertLess(np.abs(mel - (wanted if wanted.shape == mel.shape else wanted.T)).max(), 1e-12, name)


class Wenet(unittest.TestCase):
    def test_a_row_every_50_ms_from_the_beginning_until_the_end_is_reached(self):
        for samples in (1, 400, 16000, 16079, 16080, 40003):
            windows = sound.wenet_windows(0.1 * np.ones(samples, np.float32))
            columns = 1 + (5120 + samples + 5600 - 400) // 160
            self.assertEqual(windows.shape, (1 + max(0, -(-(columns - 67) // 5)), 1, 67, 80), samples)
            silence = np.float32(np.log(np.finfo(np.float32).eps))
            np.testing.assert_array_equal(windows[0, 0, :29], silence)
            filled = columns - 5 * (len(windows) - 1)
            self.assertTrue((windows[-1, 0, filled:] == 0).all() and (windows[-1, 0, filled - 1] != 0).all(), samples)

    def test_the_stored_energies_are_these(self):
        folder = Path(sound.kaldi.__file__).parent
        samples = sound.kaldi.cut(np.fromfile(folder / "speech.s16le", "<i2"))
        stored = np.fromfile(folder / "speech_fbank.f32le", "<f4").reshape(-1, 80)
        self.assertLess(np.abs(sound.kaldi.fbank(samples) - stored).max(), 1e-5)


class Windows(unittest.TestCase):
    def test_wav2lip_rule(self):
        # 81 columns at 25 fps: 0, 3, 6, 9, 12, 16, ... 64; the next (67) would run past the end and becomes 65, the last.
        starts = sound.wav2lip_starts(81, 25)
        self.assertEqual(starts[:6], [0, 3, 6, 9, 12, 16])
        self.assertEqual(starts[-2:], [64, 65])
        self.assertEqual(sound.wav2lip_starts(16, 25), [0, 0])
        self.assertEqual(sound.wav2lip_starts(81, 30)[:4], [0, 2, 5, 8])

    def test_ave_window_count_is_float_arithmetic(self):
        self.assertEqual(sound.ave_window_count(1674), 520)
        self.assertEqual(sound.ave_window_count(384), 116)

    def test_ave_starts(self):
        starts = sound.ave_starts(1674)
        self.assertEqual(starts[:10], [0, 3, 6, 9, 12, 16, 19, 22, 25, 28])
        self.assertEqual(len(sound.feature_table(np.zeros((len(starts), 512)))), 522)
        self.assertEqual(max(sound.ave_starts(384)), 384 - 16)

    def test_too_short_sound_is_refused(self):
        for rule in (lambda: sound.wav2lip_starts(15, 25), lambda: sound.ave_starts(15)):
            self.assertRaisesRegex(ValueError, "shorter than one window", rule)

    def test_feature_window(self):
        table = np.arange(1, 41, dtype=np.float32)[:, None] * np.ones(512, np.float32)
        window = sound.feature_window(table, 3, 16, (32, 16, 16))
        # Rows -5..10: five of zeros, then rows 0..10. Row r fills channels 2r and 2r + 1.
        np.testing.assert_array_equal(window[:10], 0)
        np.testing.assert_array_equal(window[::2, 0, 0], [0] * 5 + list(range(1, 12)))
        end = sound.feature_window(table, 39, 16, (32, 16, 16))
        np.testing.assert_array_equal(end[::2, 15, 15], list(range(32, 41)) + [0] * 7)

    def test_short_table_is_padded_on_both_sides(self):
        window = sound.feature_window(np.ones((3, 512), np.float32), 1, 16, (32, 16, 16))
        self.assertEqual(window.reshape(16, 512)[:, 0].tolist(), [0] * 7 + [1] * 3 + [0] * 6)

    def test_original_windows(self):
        mel = np.load(original("go-monolithic-server/test_output/mel_spec_python_full.npy")).T
        cut = sound.windows(mel, sound.ave_starts(mel.shape[1]))
        for i in range(10):
            stored = np.load(original(f"go-monolithic-server/test_output/mel_windows_python/frame_{i}.npy"))
            np.testing.assert_array_equal(cut[i, 0], stored.T.astype(np.float32))

    def test_original_feature_rows(self):
        table = np.load(original("test_single_frame/dataset/sanders/aud_ave.npy"))
        self.assertEqual(table.shape, (522, 512))
        first = sound.feature_window(table, 0, 16, (32, 16, 16))
        self.assertAlmostEqual(float(first.max()), 5.791, delta=1e-3)
        self.assertAlmostEqual(float(first.mean()), 0.16248, delta=1e-5)
        self.assertEqual(np.count_nonzero(first), 1811)


class Picture(unittest.TestCase):
    def test_unet_mask_rectangle(self):
        tensor = picture.unet_tensor(np.full((320, 320, 3), 255, np.uint8), (5, 5, 310, 305))
        self.assertEqual((tensor.shape, tensor.dtype), ((1, 6, 320, 320), np.float32))
        np.testing.assert_array_equal(tensor[0, :3], 1)
        rows, columns = np.where(tensor[0, 3] == 0)
        self.assertEqual((rows.min(), rows.max(), columns.min(), columns.max()), (5, 309, 5, 314))
        self.assertEqual(np.count_nonzero(tensor[0, 3] == 0), 305 * 310)

    def test_wav2lip_planes(self):
        face = np.random.default_rng(0).integers(1, 256, (96, 96, 3), np.uint8)
        tensor = picture.wav2lip_tensor(face)
        np.testing.assert_array_equal(tensor[0, :3, 48:], 0)
        np.testing.assert_array_equal(tensor[0, :3, :48], tensor[0, 3:, :48])
        np.testing.assert_array_equal(tensor[0, 3], (face[..., 0] / 255.0).astype(np.float32))

    def test_output_is_truncated(self):
        output = np.full((1, 3, 2, 2), 254.9 / 255, np.float32)
        self.assertEqual(picture.drawn(output).max(), 254)

    def test_crop_keeps_a_border_of_the_original(self):
        frame = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
        crop = picture.cut(frame, (50, 60, 232, 242), 328, "cubic")
        pasted = frame.copy()
        changed = crop.copy()
        changed[4:324, 4:324] = 0
        picture.paste(pasted, (50, 60, 232, 242), changed, "cubic")
        outside = np.ones(frame.shape[:2], bool)
        outside[60:242, 50:232] = False
        np.testing.assert_array_equal(pasted[outside], frame[outside])
        self.assertLess(pasted[65:237, 55:227].max(), 60)  # cubic ringing only
        self.assertGreater(np.abs(pasted[60, 50:232]).mean(), 20)  # the outermost row shows the original

    def test_cubic_is_a_minus_three_quarters_and_replicates(self):
        source = np.random.default_rng(2).integers(0, 256, (182, 182), np.uint8)
        taken = cv2.resize(source, (328, 328), interpolation=cv2.INTER_CUBIC).astype(int)
        a, at = -0.75, (np.arange(328) + 0.5) * 182 / 328 - 0.5
        base = np.floor(at).astype(int)
        weights = np.zeros((328, 182))
        for tap in range(-1, 3):
            d = np.abs(at - (base + tap))
            near = ((a + 2) * d - (a + 3)) * d * d + 1
            far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
            np.add.at(weights, (np.arange(328), np.clip(base + tap, 0, 181)), np.where(d <= 1, near, far))
        exact = np.clip(weights @ source @ weights.T, 0, 255)
        self.assertLess(np.abs(taken - exact).max(), 1.01)

    def test_boxes(self):
        landmarks = np.zeros((110, 2))
        landmarks[1], landmarks[52], landmarks[31] = (10.9, 5), (0, 20.7), (60.2, 0)
        self.assertEqual(picture.landmark_box(landmarks), (10, 20, 60, 70))
        still = picture.wav2lip_boxes([(10, 20, 50, 70)] * 7, (640, 480))
        self.assertEqual(still, [(10, 20, 50, 80)] * 7)
        moving = picture.wav2lip_boxes([(i, 0, 10 + i, 475) for i in (0, 1, 2, 3, 5, 9)], (640, 480))
        self.assertEqual(moving[0], (2, 0, 12, 480))  # mean of 0, 1, 2, 3, 5 is 2.2; 485 is cut to 480
        self.assertEqual(moving[1], (4, 0, 14, 480))
        # The last windows hold boxes that are means already: (4 2 3 5 9) -> 4, (4 4 3 5 9) -> 5, then (4 4 5 5 9) -> 5 twice.
        self.assertEqual([box[0] for box in moving[2:]], [4, 5, 5, 5])

    def test_a_box_outside_the_frame_is_refused(self):
        frame = np.zeros((100, 100, 3), np.uint8)
        for box in ((-1, 0, 50, 50), (0, 0, 101, 50), (50, 0, 50, 50)):
            self.assertRaisesRegex(ValueError, "does not lie inside", picture.cut, frame, box, 96, "linear")

    def test_original_landmarks(self):
        rects = json.loads(original("test_single_frame/dataset/sanders/crop_rects.json").read_text())
        rects = list(rects.values()) if isinstance(rects, dict) else rects
        for i, rect in enumerate(rects):
            rect = rect["rect"] if isinstance(rect, dict) else rect
            landmarks = np.loadtxt(original(f"test_single_frame/dataset/sanders/landmarks/{i}.lms"))
            self.assertEqual(picture.landmark_box(landmarks), tuple(rect), f"frame {i}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--original", help="checkout of the original system's repository")
    known, rest = parser.parse_known_args()
    ORIGINAL = known.original
    unittest.main(argv=[sys.argv[0], *rest])
