# Sourced by the examples: GStreamer shall find the plugin that this checkout has built.
root=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${GST_PLUGIN_PATH:-}" ]; then
    export GST_PLUGIN_PATH="$root/target/release"
fi
# --exists would ask for GStreamer's own version number too.
if ! gst-inspect-1.0 lipsync >/dev/null 2>&1; then
    echo "GStreamer finds no element lipsync in $GST_PLUGIN_PATH. Build it first:" >&2
    echo "  cargo xtask setup && cargo build --release" >&2
    exit 1
fi

# fail MESSAGE
fail() {
    echo "${0##*/}: $1" >&2
    exit 1
}

# look FILE PIPELINE: what gst-launch-1.0 prints of it, each pad's caps among it.
look() {
    file=$1
    shift
    timeout 20 gst-launch-1.0 -v filesrc location="$file" ! decodebin name=look "$@" 2>&1 || true
}

# needs FILE video|audio: ends the script unless the file has that, as its first decoded buffer shows.
needs() {
    [ -f "$1" ] || fail "$1 is not a file"
    sink="fakesink num-buffers=1"
    found="fakesink0.GstPad:sink: caps = $2/x-raw"
    # shellcheck disable=SC2086 # words
    case $(look "$1" ! "${2}convert" ! $sink) in
    *"$found"*) return ;;
    *"Delayed linking failed"*) fail "$1 has no $2" ;;
    esac
    # An MP4 of which one stream is not linked fails where that is the longer one.
    other=audio
    [ "$2" = video ] || other=video
    # shellcheck disable=SC2086
    case $(look "$1" ! "${2}convert" ! $sink look. ! "${other}convert" ! $sink) in
    *"$found"*) ;;
    *) fail "$1 has no $2, or none that can be decoded" ;;
    esac
}

# has FILE video|audio
has() {
    (needs "$@") 2>/dev/null
}

# is_still FILE: whether it is a picture, by its type.
is_still() {
    case $(look "$1" ! videoconvert ! fakesink num-buffers=1) in
    *"typefind.GstPad:src: caps = image/"*) ;;
    *) return 1 ;;
    esac
}
