#!/bin/sh
# A video and its own or other sound in, an MP4 with matching mouths out.
#
#   examples/file-to-file.sh IN.mp4 OUT.mp4             # the video's own sound
#   examples/file-to-file.sh IN.mp4 OUT.mp4 WORDS.wav   # other words
set -eu
[ $# -ge 2 ] || { sed -n '2,5p' "$0"; exit 2; }
. "$(dirname "$0")/environment.sh"

in=$1
out=$2
if [ $# -ge 3 ]; then
    set -- filesrc location="$3" ! decodebin
else
    set -- input.
fi
exec gst-launch-1.0 \
    filesrc location="$in" ! decodebin name=input ! lipsync.video_sink \
    "$@" ! lipsync.audio_sink \
    lipsyncbin name=lipsync ! videoconvert ! x264enc speed-preset=veryfast ! h264parse ! mp4mux name=mux ! filesink location="$out" \
    lipsync.audio_src ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
