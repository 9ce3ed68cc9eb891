"""The reference pipelines: manifest + sound + frames and boxes -> frames, as the original Python systems do it.

    pipeline = Pipeline("unet-328.toml")          # or backend="torch": NAME.pt beside the manifest; or provider="cuda"
    pipeline.listen("voice.wav", frame_rate=25)
    for i, (frame, box) in enumerate(...): step = pipeline.frame(i, frame, box)

Used by reference.py (writes everything down) and by bench/python (takes the time).
"""

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import picture
import sound

#: SyncTalk_2D encodes this many windows at once.
ENCODER_BATCH = 64
#: What ONNX Runtime is to run on, nothing else in its place.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass
class Step:
    """One frame: what went in (`image` [1,6,S,S], `window` [1,...]), what came out (`output` [1,3,S,S]), the 8-bit crop
    that was pasted (border included) and the finished frame."""

    image: np.ndarray
    window: np.ndarray
    output: np.ndarray
    crop: np.ndarray
    frame: np.ndarray
    #: Of networks that draw in latents: those of both views, and those drawn.
    latents: np.ndarray | None = None


def open_session(path, threads=0, provider="cpu"):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    if provider == "cuda":
        # NVIDIA's libraries of the packages that PyTorch comes with.
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDERS[provider]])
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise SystemExit(f"ONNX Runtime does not run on {provider} here, only on {session.get_providers()}")
    return session


def open_onnx(path, names, output, threads, provider):
    """A function of arrays, in the order of `names`."""
    session = open_session(path, threads, provider)
    return lambda *arrays: session.run([output], dict(zip(names, arrays)))[0]


def open_torch(path, name, sound_first, threads, provider):
    """The same, in eager PyTorch. Arrays come as (image, sound) and are swapped where the network wants it."""
    import torch

    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
    import reference_models

    if threads:
        torch.set_num_threads(threads)
    network = reference_models.load(path, name).to(provider)

    def run(*arrays):
        with torch.no_grad():
            tensors = [torch.from_numpy(a).to(provider) for a in (arrays[::-1] if sound_first else arrays)]
            return network(*tensors).cpu().numpy()

    return run


def open_wenet(path, tensors, backend):
    """A function of one window: everything else that the encoder takes is the same in every run, as in `wenet_infer.py`."""
    if backend == "torch":
        import torch

        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
        import reference_models

        network = reference_models.load(path.with_suffix(".pt"), "wenet")
        _, *others = reference_models.WenetEncoder.inputs()

        def encode(window):
            with torch.no_grad():
                return network(torch.from_numpy(window), *others)[0].numpy()

        return encode
    session = open_session(path)
    others = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs() if i.name != tensors["mel"]}
    others["offset"] = np.full(1, 100, np.int64)
    return lambda window: session.run([tensors["features"]], {tensors["mel"]: window, **others})[0]


def open_hubert(path, size, backend):
    """A function of the normalised samples of a whole recording: rows of 1024."""
    if backend == "torch":
        import torch

        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
        import export_hubert

        hubert = export_hubert.random(size).eval()

        def hear(samples):
            with torch.no_grad():
                return hubert(torch.from_numpy(samples)[None]).last_hidden_state[0].numpy()

        return hear
    session = open_session(path)

    def run(samples):
        rows = (len(samples) - 80) // 320
        return session.run(None, {"samples": samples[None, : 320 * rows + 80], "known": np.ones((1, rows), np.float32)})[0][0]

    return run


class Pipeline:
    def __init__(self, manifest, backend="onnxruntime", threads=0, provider="cpu"):
        path = Path(manifest)
        self.manifest = tomllib.loads(path.read_text())
        self.family, self.crop, self.hearing = (self.manifest[key] for key in ("family", "crop", "sound"))
        if self.family not in ("wav2lip", "unet") or self.manifest["blend"]["kind"] != "reference":
            raise ValueError(f"{path}: there is a reference only for wav2lip and unet with blend.kind = \"reference\"")
        tensors, files = self.manifest["tensors"], self.manifest["files"]
        self.encode, self.hear = None, None
        if self.hearing["features"] == "hubert" and "audio-encoder" in files:
            self.hear = open_hubert(path.parent / files["audio-encoder"]["path"], path.stem.rpartition("-")[2], backend)
        encodes_mel = self.hearing["features"] == "ave"
        if self.hearing["features"] == "wenet" and "audio-encoder" in files:
            self.encode = open_wenet(path.parent / files["audio-encoder"]["path"], tensors, backend)
        if backend == "torch":
            self.run = open_torch(path.with_suffix(".pt"), path.stem, self.family == "wav2lip", threads, provider)
            if encodes_mel:
                encoder = path.parent / Path(files["audio-encoder"]["path"]).with_suffix(".pt")
                self.encode = open_torch(encoder, "ave", False, threads, provider)
        else:
            names = [tensors["image"], tensors["sound"]]
            self.run = open_onnx(path.parent / files["generator"]["path"], names, tensors["output"], threads, provider)
            if encodes_mel:
                encoder = path.parent / files["audio-encoder"]["path"]
                self.encode = open_onnx(encoder, [tensors["mel"]], tensors["features"], threads, provider)
        #: mel [80, N] float64, or None; first mel column of each window; feature rows [F, ...], or None
        self.mel, self.starts, self.table = None, None, None

    def listen(self, source, frame_rate=25.0):
        """`source`: a sound file, or for "hubert" and "wenet" the .npy of the feature rows, which other networks make."""
        if str(source).endswith(".npy"):
            self.table = np.load(source).astype(np.float32)
            return
        if self.hear:
            self.table = sound.hubert_table(self.hear, sound.load(source))
            return
        if self.hearing["features"] == "wenet":
            rows = [self.encode(window[None]) for window in sound.wenet_windows(sound.load(source))]
            self.table = np.concatenate(rows)
            return
        self.mel = sound.mel_spectrum(sound.load(source))
        if self.family == "wav2lip":
            self.starts = sound.wav2lip_starts(self.mel.shape[1], frame_rate)
            return
        self.starts = sound.ave_starts(self.mel.shape[1])
        heard = sound.windows(self.mel, self.starts)
        rows = [self.encode(heard[i : i + ENCODER_BATCH]) for i in range(0, len(heard), ENCODER_BATCH)]
        self.table = sound.feature_table(np.concatenate(rows))

    def frames_heard(self):
        """For how many frames there is sound: the original writes no more than these."""
        return len(self.starts) if self.table is None else len(self.table)

    def window(self, index):
        """What the network hears at frame `index`, with a batch axis."""
        if self.table is None:
            return sound.windows(self.mel, [self.starts[index]])
        return sound.feature_window(self.table, index, self.hearing["rows"], self.hearing["shape"])[None]

    def picture(self, frame, box):
        """(tensor [1,6,S,S], crop): the crop is the scaled box, border included."""
        crop = picture.cut(frame, box, self.crop["size"], self.crop["scale"])
        if self.family == "wav2lip":
            return picture.wav2lip_tensor(crop), crop
        border, size = self.crop["border"], self.manifest["image"]["size"]
        inner = crop[border : border + size, border : border + size]
        return picture.unet_tensor(inner, self.manifest["image"]["mask"]), crop

    def frame(self, index, frame, box):
        """Draws frame `index`; `frame` [H,W,3] BGR is left as it is."""
        image, crop = self.picture(frame, box)
        window = self.window(index)
        output = self.run(image, window)
        border, size = self.crop["border"], self.manifest["image"]["size"]
        crop = crop.copy()
        crop[border : border + size, border : border + size] = picture.drawn(output)
        finished = frame.copy()
        picture.paste(finished, box, crop, self.manifest["blend"]["scale"])
        return Step(image, window, output, crop, finished)
