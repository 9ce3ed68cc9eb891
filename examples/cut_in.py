#!/usr/bin/env python3
"""Plays a video with its sound; every Enter cuts lipsync in or out, at the same latency.

    GST_PLUGIN_PATH=$PWD/target/release examples/cut_in.py IN.mp4

Needs PyGObject (Debian: python3-gi, gir1.2-gstreamer-1.0).
"""

import pathlib
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

PIPELINE = """
    filesrc name=file ! decodebin name=input
    input. ! videoconvert ! videoflip video-direction=auto ! lipsync.video_sink
    lipsyncbin name=lipsync bypass=true ! videoconvert ! autovideosink
    input. ! lipsync.audio_sink lipsync.audio_src ! audioconvert ! audioresample ! autoaudiosink
"""


def main():
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_file():
        sys.exit(__doc__)
    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE)
    pipeline.get_by_name("file").set_property("location", sys.argv[1])
    lipsync = pipeline.get_by_name("lipsync")
    loop = GLib.MainLoop()
    failures = []

    def cut(channel, _condition):
        channel.readline()
        lipsync.set_property("bypass", not lipsync.get_property("bypass"))
        print("lipsync is", "out" if lipsync.get_property("bypass") else "in")
        return True

    def message(_bus, message):
        if message.type == Gst.MessageType.ERROR:
            failures.append(message.parse_error()[0].message)
        if message.type in (Gst.MessageType.ERROR, Gst.MessageType.EOS):
            loop.quit()

    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", message)
    GLib.io_add_watch(GLib.IOChannel.unix_new(sys.stdin.fileno()), GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN, cut)
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    pipeline.set_state(Gst.State.NULL)
    sys.exit(failures[0] if failures else 0)


if __name__ == "__main__":
    main()
