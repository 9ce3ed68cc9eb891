#!/bin/sh
# Camera and microphone to a window and the loudspeakers, both late by the same latency.
#
#   examples/camera-to-window.sh
#
# With draw-debug=true in front of lipsync's name the face mesh and the timing are drawn too.
set -eu
. "$(dirname "$0")/environment.sh"

exec gst-launch-1.0 \
    lipsync name=lipsync ! queue ! videoconvert ! autovideosink \
    autovideosrc ! videoconvert ! queue ! lipsync.video \
    autoaudiosrc ! audioconvert ! audioresample ! tee name=sound ! queue ! lipsync.audio \
    sound. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! autoaudiosink
