#!/bin/sh
# A video and its own or other audio in, an MP4 with matching mouths out.
#
#   examples/file-to-file.sh IN.mp4 OUT.mp4             # the video's own audio
#   examples/file-to-file.sh IN.mp4 OUT.mp4 WORDS.wav   # other words
#
# For a still picture, and where one is longer than the other: cargo xtask demo --help
set -eu
[ $# -eq 2 ] || [ $# -eq 3 ] || { sed -n '2,7p' "$0"; exit 2; }
. "$(dirname "$0")/environment.sh"

in=$1
out=$2
needs "$in" video
is_still "$in" && fail "$in is a still picture: cargo xtask demo --video $in --audio ${3:-WORDS.wav} --out $out"
if [ $# -eq 2 ]; then
    has "$in" audio || fail "$in has no audio: name a file with the words after $out"
    set -- input.
else
    needs "$3" audio
    # What is not heard is linked all the same: an MP4 fails where its video ends before an unlinked audio track.
    unheard=
    has "$in" audio && unheard="input. ! audio/x-raw ! fakesink sync=false async=false"
    # shellcheck disable=SC2086 # words
    set -- $unheard filesrc location="$3" ! decodebin
fi
# H.264 in 4:2:0 takes even sizes only.
exec gst-launch-1.0 \
    filesrc location="$in" ! decodebin name=input ! videoconvert ! videoflip video-direction=auto ! lipsync.video_sink \
    "$@" ! lipsync.audio_sink \
    lipsyncbin name=lipsync ! videoconvert ! videoscale ! 'video/x-raw,width=[2,16384,2],height=[2,16384,2]' \
        ! x264enc speed-preset=veryfast ! h264parse ! mp4mux name=mux ! filesink location="$out" \
    lipsync.audio_src ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! mux.
