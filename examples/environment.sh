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
