#!/bin/sh
# GStreamer 1.22.0 (Debian 12): qtdemux drops the video of a file whose audio is more than five times as long.
#
# Two seconds of video and fifteen of audio, written by qtmux, read back by qtdemux: one stream, the audio. The only word of it is a
# warning of the debug log, "Track shorter than 20% (...) of the stream found, assuming preview image or something; skipping track".
# With nine seconds of audio both streams are there. A short picture for a long recording is a common file in dubbing.
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
            gstreamer1.0-tools gstreamer1.0-plugins-base-apps gstreamer1.0-plugins-good
} >"$folder/log" 2>&1 || { tail -n 5 "$folder/log"; exit 1; }

streams() {
    inside gst-launch-1.0 -q \
        videotestsrc num-buffers=50 ! video/x-raw,width=320,height=240,framerate=25/1 ! jpegenc ! mux. \
        audiotestsrc num-buffers="$1" samplesperbuffer=800 ! audio/x-raw,format=S16LE,rate=8000,channels=1 ! mux. \
        qtmux name=mux ! filesink location=/file.mov
    inside gst-discoverer-1.0 /file.mov | grep -oE '(video|audio|image)[^ ]* #' | tr -d '#\n'
}

inside gst-inspect-1.0 qtdemux | grep -E 'Version +1\.22\.0' || { echo "another version of qtdemux"; exit 1; }
for seconds in 9 15; do
    found=$(streams "$((seconds * 10))")
    echo "2 s of video, $seconds s of audio: $found"
    case $seconds,$found in
        9,*video*audio* | 9,*audio*video* | 15,"audio ") ;;
        15,*video*) echo "the video is there now"; exit 1 ;;
        *) echo "not as it was"; exit 1 ;;
    esac
done
