#!/bin/sh
# GStreamer 1.22.0 (Debian 12): matroskademux, asked for an accurate seek before its first data, says twice where it went, and the second
# time that it is the beginning.
#
# Three seconds of video with one keyframe. The seek to 1 s is sent while the first events behind the demuxer are held back, as by whoever
# wants only a part of a file. It is put off ("not ready for seeking yet, deferring seek event" says the debug log), then there is a segment
# from 1 s and right behind it one from 0 s, and all plays from the beginning. While the first buffer is held back instead, there is one
# segment, from 1 s.
#
# Fails once that changes. Needs root, debootstrap and a Debian mirror; MIRROR names one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
inside() {
    chroot "$folder/debian" "$@"
}
{
    debootstrap --variant=minbase bookworm "$folder/debian" ${MIRROR:+"$MIRROR"} &&
        cp /etc/resolv.conf "$folder/debian/etc/" &&
        inside env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly \
            python3-gi gir1.2-gstreamer-1.0
} >"$folder/log" 2>&1 || { tail -n 5 "$folder/log"; exit 1; }

inside gst-launch-1.0 -q videotestsrc num-buffers=75 ! video/x-raw,width=320,height=240,framerate=25/1 \
    ! x264enc key-int-max=250 ! matroskamux ! filesink location=/file.mkv
cat >"$folder/debian/segments.py" <<'PYTHON'
import sys, threading
import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
before = {"events": Gst.PadProbeType.EVENT_DOWNSTREAM, "data": Gst.PadProbeType.BUFFER}[sys.argv[1]]
pipeline = Gst.parse_launch("filesrc location=/file.mkv ! matroskademux name=demux fakesink name=sink sync=false")
sink = pipeline.get_by_name("sink").get_static_pad("sink")
blocked, held, starts = threading.Event(), [], []

def block(pad, info):
    blocked.set()
    return Gst.PadProbeReturn.OK

def added(demux, pad):
    held.append((pad, pad.add_probe(Gst.PadProbeType.BLOCK | before, block)))
    pad.link(sink)

def segment(pad, info):
    event = info.get_event()
    if event.type == Gst.EventType.SEGMENT:
        starts.append(event.parse_segment().start // Gst.MSECOND)
    return Gst.PadProbeReturn.OK

sink.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, segment)
pipeline.get_by_name("demux").connect("pad-added", added)
pipeline.set_state(Gst.State.PLAYING)
blocked.wait()
starts.clear()
pad, probe = held[0]
flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.ACCURATE
pad.send_event(Gst.Event.new_seek(1.0, Gst.Format.TIME, flags, Gst.SeekType.SET, Gst.SECOND, Gst.SeekType.NONE, 0))
pad.remove_probe(probe)
pipeline.get_bus().timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
print(*starts[-2:])
pipeline.set_state(Gst.State.NULL)
PYTHON

inside gst-inspect-1.0 matroskademux | grep -E 'Version +1\.22\.0' || { echo "another version of matroskademux"; exit 1; }
for before in events data; do
    found=$(inside python3 /segments.py "$before")
    echo "a seek to 1000 ms sent before the first $before: segments from $found ms"
    case $before,$found in
        "events,1000 0" | "data,1000" | "data,0 1000") ;;
        *) echo "not as it was"; exit 1 ;;
    esac
done
