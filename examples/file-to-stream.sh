#!/bin/sh
# A file, paced as a live programme, to an RTMP server or as an MPEG transport stream over SRT.
#
#   examples/file-to-stream.sh IN.mp4 rtmp://localhost/live/key
#   examples/file-to-stream.sh IN.mp4 'srt://:7001?mode=listener'   # starts when somebody watches:
#       gst-launch-1.0 playbin uri=srt://127.0.0.1:7001
set -eu
[ $# -eq 2 ] || { sed -n '2,6p' "$0"; exit 2; }
. "$(dirname "$0")/environment.sh"

in=$1
case $2 in
srt://*) set -- mpegtsmux name=mux alignment=7 ! srtsink uri="$2" ;;
rtmp://* | rtmps://*) set -- flvmux name=mux streamable=true ! rtmp2sink location="$2" ;;
*) fail "$2 is no address that begins with rtmp://, rtmps:// or srt://" ;;
esac
needs "$in" video
needs "$in" audio
exec gst-launch-1.0 \
    filesrc location="$in" ! decodebin name=input ! videoconvert ! videoflip video-direction=auto ! clocksync ! lipsync.video_sink \
    input. ! clocksync ! lipsync.audio_sink \
    lipsyncbin name=lipsync ! videoconvert ! video/x-raw,format=I420 \
        ! x264enc tune=zerolatency speed-preset=veryfast bitrate=4000 key-int-max=50 ! h264parse ! "$@" \
    lipsync.audio_src ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
