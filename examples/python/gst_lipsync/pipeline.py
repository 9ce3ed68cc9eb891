"""Playing a pipeline to its end."""

from gi.repository import Gst


class Failed(RuntimeError):
    """What GStreamer says of a pipeline that failed."""


def make(description):
    """A pipeline from the words of gst-launch-1.0. Raises Failed where the plugin is not found."""
    Gst.init(None)
    if Gst.ElementFactory.find("lipsyncbin") is None:
        raise Failed("GStreamer does not find the plugin lipsync: install it, or name its folder with GST_PLUGIN_PATH")
    return Gst.parse_launch(description)


def messages(pipeline, every=Gst.SECOND):
    """Plays; yields messages of elements and warnings, and None where `every` nanoseconds passed without one.

    Ends with the stream, raises Failed after an error. The pipeline is stopped then, whatever happens.
    """
    kinds = (
        Gst.MessageType.ERROR
        | Gst.MessageType.EOS
        | Gst.MessageType.WARNING
        | Gst.MessageType.ELEMENT
        | Gst.MessageType.LATENCY
    )
    bus = pipeline.get_bus()
    try:
        pipeline.set_state(Gst.State.PLAYING)
        while True:
            message = bus.timed_pop_filtered(every, kinds)
            if message is None or message.type in (Gst.MessageType.ELEMENT, Gst.MessageType.WARNING):
                yield message
            elif message.type == Gst.MessageType.EOS:
                return
            elif message.type == Gst.MessageType.LATENCY:
                # Another model looks another time ahead.
                pipeline.recalculate_latency()
            else:
                raise failure(message)
    finally:
        pipeline.set_state(Gst.State.NULL)


def failure(message):
    """An error message as an exception."""
    error, _ = message.parse_error()
    return Failed(f"{message.src.get_name()}: {error.message}")
