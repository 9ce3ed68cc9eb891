"""A camera with its microphone to a window and loudspeakers, with statistics every second; Ctrl-C ends it."""

import argparse
import sys

import gst_lipsync  # noqa: F401, versions for gi
from gi.repository import GLib, Gst

from gst_lipsync import pipeline

DESCRIPTION = """
    {video} ! lipsyncbin name=lipsync stats-interval=1000000000 ! videoconvert ! {window}
    {audio} ! lipsync.audio_sink lipsync.audio_src ! audioconvert ! audioresample ! {loudspeakers}
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, epilog="Sources and sinks are words of gst-launch-1.0.")
    arguments.add_argument("--video", default="autovideosrc")
    arguments.add_argument("--audio", default="autoaudiosrc")
    arguments.add_argument("--window", default="autovideosink")
    arguments.add_argument("--loudspeakers", default="autoaudiosink")
    try:
        run(**vars(arguments.parse_args()))
    except (pipeline.Failed, GLib.Error) as error:
        sys.exit(f"live: {error}")
    except KeyboardInterrupt:
        pass


def run(video, audio, window, loudspeakers):
    playing = pipeline.make(DESCRIPTION.format(video=video, audio=audio, window=window, loudspeakers=loudspeakers))
    for message in pipeline.messages(playing):
        if message is None:
            continue
        if message.type == Gst.MessageType.WARNING:
            print("warning:", message.parse_warning()[0].message, file=sys.stderr)
        elif message.get_structure().get_name() == "lipsync-stats":
            print(line(message.get_structure()), flush=True)


def line(stats):
    """What an operator watches: docs/live.md says what each counter means."""
    frames = stats.get_value("frames-out")
    without = stats.get_value("frames-repeated") + stats.get_value("frames-skipped")
    return (
        f"{frames} frames, {stats.get_value('frames-synced')} synced, {without} without a mouth of their own, "
        f"{stats.get_value('faces-last')} faces, {stats.get_value('total-p95') / 1000:.1f} ms a frame (95 %)"
    )


if __name__ == "__main__":
    main()
