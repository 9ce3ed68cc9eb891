#!/bin/sh
# A file, paced as a live programme, to an RTMP server.
#
#   examples/file-to-rtmp.sh IN.mp4 rtmp://localhost/live/key
set -eu
[ $# -eq 2 ] || { sed -n '2,4p' "$0"; exit 2; }
. "$(dirname "$0")/environment.sh"

exec gst-launch-1.0 \
    lipsync name=lipsync ! videoconvert ! video/x-raw,format=I420 ! queue \
        ! x264enc tune=zerolatency speed-preset=veryfast bitrate=4000 key-int-max=50 ! h264parse \
        ! flvmux name=mux streamable=true ! rtmp2sink location="$2" \
    filesrc location="$1" ! decodebin name=input ! videoconvert ! clocksync ! queue ! lipsync.video \
    input. ! audioconvert ! audioresample ! clocksync ! identity drop-allocation=true \
        ! tee name=sound ! queue ! lipsync.audio \
    sound. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 \
        ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
