"""How Python programs use the GStreamer elements lipsync and lipsyncbin."""

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
