#!/bin/sh
# A video and its own or other sound in, an MP4 with matching mouths out.
#
#   examples/file-to-file.sh IN.mp4 OUT.mp4             # the video's own sound
#   examples/file-to-file.sh IN.mp4 OUT.mp4 WORDS.wav   # other words
set -eu
[ $# -ge 2 ] || { sed -n '2,5p' "$0"; exit 2; }
. "$(dirname "$0")/environment.sh"

if [ $# -ge 3 ]; then
    sound="filesrc location=$3 ! decodebin"
else
    sound="input."
fi
# shellcheck disable=SC2086
exec gst-launch-1.0 \
    filesrc location="$1" ! decodebin name=input ! lipsync.video_sink \
    $sound ! lipsync.audio_sink \
    lipsyncbin name=lipsync ! videoconvert ! x264enc speed-preset=veryfast ! h264parse ! mp4mux name=mux ! filesink location="$2" \
    lipsync.audio_src ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
