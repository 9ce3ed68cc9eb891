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
# The queue before the muxer is without limits: sound waits there while lipsync listens ahead. Without drop-allocation a decoder
# may ask the far end of that queue for memory, and wait for ever: it does not answer before the first frame has come out.
# shellcheck disable=SC2086
exec gst-launch-1.0 \
    lipsync name=lipsync ! videoconvert ! queue ! x264enc speed-preset=veryfast ! h264parse \
        ! mp4mux name=mux ! filesink location="$2" \
    filesrc location="$1" ! decodebin name=input ! videoconvert ! queue ! lipsync.video \
    $sound ! audioconvert ! audioresample ! identity drop-allocation=true \
        ! tee name=sound ! queue ! lipsync.audio \
    sound. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 \
        ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
