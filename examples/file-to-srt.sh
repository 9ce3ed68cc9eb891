#!/bin/sh
# A file, paced as a live programme, as an MPEG transport stream over SRT.
#
#   examples/file-to-srt.sh IN.mp4                                  # waits for a caller on port 7001
#   examples/file-to-srt.sh IN.mp4 'srt://localhost:7001?mode=caller'
#
# Watch it: gst-play-1.0 'srt://localhost:7001'
set -eu
[ $# -ge 1 ] || { sed -n '2,7p' "$0"; exit 2; }
. "$(dirname "$0")/environment.sh"

exec gst-launch-1.0 \
    lipsync name=lipsync ! videoconvert ! video/x-raw,format=I420 ! queue \
        ! x264enc tune=zerolatency speed-preset=veryfast bitrate=4000 key-int-max=50 ! h264parse \
        ! mpegtsmux name=mux alignment=7 ! srtsink uri="${2:-srt://:7001?mode=listener}" \
    filesrc location="$1" ! decodebin name=input ! videoconvert ! clocksync ! queue ! lipsync.video \
    input. ! audioconvert ! audioresample ! clocksync ! identity drop-allocation=true \
        ! tee name=sound ! queue ! lipsync.audio \
    sound. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 \
        ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
