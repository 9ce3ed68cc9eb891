"""What the original systems do to pixels, with OpenCV: boxes, crop, mask, tensor, paste. BGR, 8 bits.

Must not know networks or sound. A box is (x0, y0, x1, y1) in whole pixels, x1 and y1 excluded.
"""

import cv2
import numpy as np

SCALES = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}


def landmark_box(landmarks):
    """SyncTalk_2D and Ultralight: the square under landmarks 1 (left), 52 (top) and 31 (right) of 110, truncated to integers."""
    points = np.asarray(landmarks, np.float32).astype(np.int32)
    left, top, right = int(points[1, 0]), int(points[52, 1]), int(points[31, 0])
    return left, top, right, top + right - left


def wav2lip_boxes(detections, size, pads=(0, 10, 0, 0), smooth=5):
    """Wav2Lip: the detector's boxes, padded (top, bottom, left, right), cut to the frame (`size` = width, height), then the mean
    of `smooth` frames from each one on. As in the original the means are written into the integer array that they are read
    from, so they are truncated, and the last few frames average boxes that are averages already. `smooth` = 0: none."""
    top, bottom, left, right = pads
    boxes = np.array(
        [
            [max(0, x0 - left), max(0, y0 - top), min(size[0], x1 + right), min(size[1], y1 + bottom)]
            for x0, y0, x1, y1 in np.asarray(detections).astype(int)
        ]
    )
    for i in range(len(boxes) if smooth else 0):
        first = len(boxes) - smooth if i + smooth > len(boxes) else i
        boxes[i] = boxes[max(first, 0) : first + smooth].mean(axis=0)
    return [tuple(int(v) for v in box) for box in boxes]


def cut(frame, box, size, scale):
    """The box of the frame, scaled to size x size."""
    x0, y0, x1, y1 = box
    height, width = frame.shape[:2]
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(f"box {box} does not lie inside the {width}x{height} frame")
    return cv2.resize(frame[y0:y1, x0:x1], (size, size), interpolation=SCALES[scale])


def wav2lip_tensor(face):
    """[1,6,S,S] float32: lower half of the rows black, then the whole face. Divided in float64, as the original does."""
    masked = face.copy()
    masked[face.shape[0] // 2 :] = 0
    return (np.concatenate([masked, face], axis=2) / 255.0).transpose(2, 0, 1)[None].astype(np.float32)


def unet_tensor(inner, mask):
    """[1,6,S,S] float32: the picture, then the picture with the rectangle `mask` (x, y, width, height) black."""
    masked = cv2.rectangle(inner.copy(), tuple(mask), (0, 0, 0), -1)
    planes = [p.transpose(2, 0, 1).astype(np.float32) / 255.0 for p in (inner, masked)]
    return np.concatenate(planes)[None].astype(np.float32)


def drawn(output):
    """The network's [1,3,S,S] in 0..1 -> 8 bits [S,S,3]: times 255 in float32, truncated."""
    return (output[0].transpose(1, 2, 0) * 255.0).astype(np.uint8)


def paste(frame, box, crop, scale):
    """Scales the crop to the box and overwrites it, hard edges. Changes `frame`."""
    x0, y0, x1, y1 = box
    frame[y0:y1, x0:x1] = cv2.resize(crop, (x1 - x0, y1 - y0), interpolation=SCALES[scale])
