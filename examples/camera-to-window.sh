#!/bin/sh
# Camera and microphone to a window and the loudspeakers, both late by the same latency.
#
#   examples/camera-to-window.sh
#
# With draw-debug=true after lipsync's name the face mesh and the timing are drawn too.
set -eu
. "$(dirname "$0")/environment.sh"

exec gst-launch-1.0 \
    autovideosrc ! lipsyncbin name=lipsync ! videoconvert ! autovideosink \
    autoaudiosrc ! lipsync.audio_sink lipsync.audio_src ! audioconvert ! audioresample ! autoaudiosink
