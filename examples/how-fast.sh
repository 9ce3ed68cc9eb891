#!/bin/sh
# How many times real time the built-in mouth runs: 15 s of a speaking picture, at 1920x1080 on one core and at 3840x2160 on
# two. Loading the model is in it, decoding and encoding of video is not. To be run on a machine that does nothing else.
#
#   examples/how-fast.sh PICTURE SPEECH.wav [SECONDS]
#   examples/how-fast.sh media/young-woman-in-mauve.jpg media/speech.wav
set -eu
[ $# -ge 2 ] || { sed -n '2,6p' "$0"; exit 2; }
. "$(dirname "$0")/environment.sh"

needs "$1" video
needs "$2" audio
seconds=${3:-15}
for run in "0 1920 1080" "0,1 3840 2160"; do
    # shellcheck disable=SC2086 # three words
    set -- "$1" "$2" $run
    began=$(date +%s%N)
    taskset --cpu-list "$3" gst-launch-1.0 -q \
        filesrc location="$1" ! decodebin ! videoconvert ! videoscale add-borders=true \
        ! "video/x-raw,format=I420,width=$4,height=$5,pixel-aspect-ratio=1/1" ! imagefreeze num-buffers=$((25 * seconds)) \
        ! video/x-raw,framerate=25/1 ! lipsync.video \
        filesrc location="$2" ! decodebin ! audioconvert ! audioresample ! lipsync.audio \
        lipsync name=lipsync ! fakesink
    took=$(($(date +%s%N) - began))
    awk -v size="$4x$5" -v cores="$3" -v seconds=$seconds -v took=$took \
        'BEGIN { printf "%s on CPU %s: %d s in %.1f s, %.1f times real time\n", size, cores, seconds, took / 1e9, seconds * 1e9 / took }'
done
