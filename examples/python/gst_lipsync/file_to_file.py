"""A video and its own or other words in, an MP4 with matching mouths out.

Shows how a program links what a decoder finds: gst-lipsync-1.0 does the same, and keeps subtitles, other audio tracks and colour.
"""

import argparse
import pathlib
import sys

import gst_lipsync  # noqa: F401, versions for gi
from gi.repository import Gst

from gst_lipsync import pipeline

DESCRIPTION = """
    filesrc name=video-file ! decodebin name=video
    lipsyncbin name=lipsync ! videoconvert ! videoscale ! video/x-raw,width=[2,16384,2],height=[2,16384,2]
      ! x264enc speed-preset=veryfast ! h264parse ! mp4mux name=mux ! filesink name=output
    lipsync.audio_src ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
    videoconvert name=frames ! videoflip video-direction=auto ! lipsync.video_sink
"""
WORDS = "filesrc name=audio-file ! decodebin name=audio "


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("video", type=pathlib.Path)
    arguments.add_argument("output", type=pathlib.Path)
    arguments.add_argument("--words", type=pathlib.Path, help="file with the speech [default: the video's own]")
    arguments.add_argument("--strength", type=float, default=1.0, help="0 is the original mouth, 2 exaggerated")
    given = arguments.parse_args()
    try:
        stats = run(given.video, given.output, given.words, given.strength)
    except (pipeline.Failed, OSError) as error:
        sys.exit(f"file_to_file: {error}")
    print(f"{stats['frames-out']} frames, {stats['frames-synced']} with a new mouth")


def run(video, output, words=None, strength=1.0):
    """Writes the output; returns the counters of `stats` as a dictionary."""
    for file in filter(None, (video, words)):
        if not file.is_file():
            raise FileNotFoundError(f"{file} is not a file")
    playing = pipeline.make(DESCRIPTION + (WORDS if words else ""))
    playing.get_by_name("video-file").set_property("location", str(video))
    playing.get_by_name("output").set_property("location", str(output))
    lipsync = playing.get_by_name("lipsync")
    lipsync.set_property("strength", strength)
    frames = playing.get_by_name("frames").get_static_pad("sink")
    speech = lipsync.get_static_pad("audio_sink")
    if words:
        playing.get_by_name("audio-file").set_property("location", str(words))
        playing.get_by_name("audio").connect("pad-added", link, {"audio/": speech})
        playing.get_by_name("video").connect("pad-added", link, {"video/": frames})
    else:
        playing.get_by_name("video").connect("pad-added", link, {"video/": frames, "audio/": speech})
    for _ in pipeline.messages(playing):
        done, position = playing.query_position(Gst.Format.TIME)
        if done:
            print(f"\r{position / Gst.SECOND:.1f} s", end="", file=sys.stderr)
    return counters(lipsync)


def link(decoder, pad, sinks):
    """Links the first stream of each kind; what nobody takes is dropped, since a file may end with an unlinked stream."""
    kind = pad.get_current_caps().get_structure(0).get_name()
    for prefix, sink in sinks.items():
        if kind.startswith(prefix) and not sink.is_linked():
            pad.link(sink)
            return
    unheard = Gst.ElementFactory.make("fakesink")
    unheard.set_property("async", False)
    decoder.get_parent().add(unheard)
    unheard.sync_state_with_parent()
    pad.link(unheard.get_static_pad("sink"))


def counters(lipsync):
    """`stats` as a dictionary."""
    stats = lipsync.get_property("stats")
    return {stats.nth_field_name(index): stats.get_value(stats.nth_field_name(index)) for index in range(stats.n_fields())}


if __name__ == "__main__":
    main()
