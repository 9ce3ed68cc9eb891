"""Numpy arrays in, numpy arrays out."""

import fractions
import threading

import gst_lipsync  # noqa: F401, versions for gi
import numpy
from gi.repository import Gst, GstApp, GstVideo  # noqa: F401, GstApp gives appsrc and appsink their methods

from gst_lipsync import pipeline

DESCRIPTION = """
    appsrc name=frames format=time block=true max-bytes=0 max-buffers=4 ! queue ! lipsync.video
    appsrc name=speech format=time block=true max-bytes=0 max-buffers=4 ! queue ! lipsync.audio
    lipsync name=lipsync ! appsink name=redrawn sync=false max-buffers=4
"""
# Of speech, in one buffer.
SAMPLES = 4096


def redraw(frames, speech, rate, frame_rate=25, **properties):
    """Yields the frames with mouths that say the speech.

    frames: arrays (height, width, 3) of uint8, RGB, all of one size; any iterable, read as they are needed
    speech: array (samples,) or (samples, channels) of float32 from -1 to 1, at `rate` samples a second; its first sample
        belongs to the first frame
    frame_rate: frames a second, a number or a Fraction
    properties: of the element, with underscores: `max_faces=2`

    Raises pipeline.Failed with GStreamer's words, ValueError for arrays of another shape.
    """
    playing = pipeline.make(DESCRIPTION)
    for name, value in properties.items():
        Gst.util_set_object_arg(playing.get_by_name("lipsync"), name.replace("_", "-"), str(value))
    faults = []
    feeders = [
        threading.Thread(target=_feed, args=(playing.get_by_name(name), buffers, faults), daemon=True)
        for name, buffers in (
            ("frames", _frames(frames, fractions.Fraction(frame_rate).limit_denominator(1001))),
            ("speech", _speech(numpy.asarray(speech, dtype=numpy.float32), rate)),
        )
    ]
    sink = playing.get_by_name("redrawn")
    try:
        # What a source takes that never started would wait in it for ever.
        if playing.set_state(Gst.State.PLAYING) != Gst.StateChangeReturn.FAILURE:
            for feeder in feeders:
                feeder.start()
        while not faults and (sample := sink.pull_sample()) is not None:
            yield _array(sample)
        if faults:
            raise faults[0]
        error = playing.get_bus().pop_filtered(Gst.MessageType.ERROR)
        if error is not None:
            raise pipeline.failure(error)
    finally:
        # Ends the feeders too: nothing more is taken from them.
        playing.set_state(Gst.State.NULL)
        for feeder in feeders:
            if feeder.ident is not None:
                feeder.join()


def _feed(source, buffers, faults):
    try:
        for caps, buffer in buffers:
            source.set_caps(caps)
            if source.push_buffer(buffer) != Gst.FlowReturn.OK:
                return
    except Exception as fault:  # of the caller's iterable: shown where the frames are taken
        faults.append(fault)
    source.end_of_stream()


def _frames(frames, frame_rate):
    duration = Gst.SECOND / frame_rate
    info = None
    for index, frame in enumerate(frames):
        frame = numpy.asarray(frame)
        if frame.dtype != numpy.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"a frame is {frame.dtype} of shape {frame.shape}, expected uint8 of shape (height, width, 3)")
        height, width, _ = frame.shape
        if info is None or (info.width, info.height) != (width, height):
            caps = Gst.Caps.from_string(
                f"video/x-raw,format=RGB,width={width},height={height},"
                f"framerate={frame_rate.numerator}/{frame_rate.denominator}"
            )
            info = GstVideo.VideoInfo.new_from_caps(caps)
        # GStreamer's rows are multiples of four bytes.
        rows = numpy.zeros((height, info.stride[0]), numpy.uint8)
        rows[:, : 3 * width] = frame.reshape(height, 3 * width)
        buffer = Gst.Buffer.new_wrapped(rows.tobytes())
        buffer.pts = int(index * duration)
        buffer.duration = int((index + 1) * duration) - buffer.pts
        yield caps, buffer


def _speech(samples, rate):
    if samples.ndim not in (1, 2):
        raise ValueError(f"speech has the shape {samples.shape}, expected (samples,) or (samples, channels)")
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    layout = "" if channels <= 2 else ",channel-mask=(bitmask)0"
    caps = Gst.Caps.from_string(f"audio/x-raw,format=F32LE,layout=interleaved,rate={rate},channels={channels}{layout}")
    for start in range(0, len(samples), SAMPLES):
        part = samples[start : start + SAMPLES]
        buffer = Gst.Buffer.new_wrapped(part.astype("<f4").tobytes())
        buffer.pts = start * Gst.SECOND // rate
        buffer.duration = len(part) * Gst.SECOND // rate
        yield caps, buffer


def _array(sample):
    info = GstVideo.VideoInfo.new_from_caps(sample.get_caps())
    buffer = sample.get_buffer()
    mapped, data = buffer.map(Gst.MapFlags.READ)
    if not mapped:
        raise pipeline.Failed("a frame cannot be read")
    try:
        rows = numpy.frombuffer(data.data, numpy.uint8).reshape(info.height, info.stride[0])
        return rows[:, : 3 * info.width].reshape(info.height, info.width, 3).copy()
    finally:
        buffer.unmap(data)
