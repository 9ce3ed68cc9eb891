/* Redraws mouths between two moments of a video only: a repaired take. `strength` is under control, so that it moves with the
 * stream's time to the frame, however fast that is read.
 *
 *   meson setup build && ninja -C build
 *   GST_PLUGIN_PATH=$PWD/../../target/release build/lipsync-between IN.mp4 OUT.mkv 1.5 4
 */
#include <gst/controller/controller.h>
#include <gst/gst.h>
#include <stdlib.h>

/* Frames keep their format up to the encoder; the rest of the file's streams is left out. */
#define PIPELINE                                                                                                         \
  "filesrc name=input ! decodebin name=decoder "                                                                         \
  "decoder. ! videoconvert ! videoflip video-direction=auto ! lipsync.video_sink "                                       \
  "decoder. ! lipsync.audio_sink "                                                                                       \
  "lipsyncbin name=lipsync fade-time=0 ! videoconvert ! x264enc speed-preset=veryfast ! h264parse ! queue ! mux. "       \
  "lipsync.audio_src ! audioconvert ! avenc_aac ! queue ! matroskamux name=mux ! filesink name=output"

static void
set_location (GstElement *pipeline, const char *name, const char *location)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (pipeline), name);
  g_object_set (element, "location", location, NULL);
  gst_object_unref (element);
}

/* Values of the binding are parts of the property's range, 0 to 2: half of it is a strength of 1. */
static void
redraw_between (GstElement *lipsync, double from, double to)
{
  GstControlSource *strength = gst_interpolation_control_source_new ();
  GstTimedValueControlSource *values = GST_TIMED_VALUE_CONTROL_SOURCE (strength);

  g_object_set (strength, "mode", GST_INTERPOLATION_MODE_NONE, NULL);
  gst_timed_value_control_source_set (values, 0, 0.0);
  gst_timed_value_control_source_set (values, (GstClockTime) (from * GST_SECOND), 0.5);
  gst_timed_value_control_source_set (values, (GstClockTime) (to * GST_SECOND), 0.0);
  gst_object_add_control_binding (GST_OBJECT (lipsync),
      gst_direct_control_binding_new (GST_OBJECT (lipsync), "strength", strength));
  gst_object_unref (strength);
}

/* Plays to the end; whether that is a good one. */
static gboolean
play (GstElement *pipeline)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  gboolean good = FALSE;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  GstMessage *message =
      gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS) {
    good = TRUE;
  } else {
    GError *error = NULL;
    char *details = NULL;
    gst_message_parse_error (message, &error, &details);
    g_printerr ("%s: %s\n%s\n", GST_OBJECT_NAME (GST_MESSAGE_SRC (message)), error->message, details ? details : "");
    g_clear_error (&error);
    g_free (details);
  }
  gst_message_unref (message);
  gst_object_unref (bus);
  return good;
}

static void
print_counters (GstElement *lipsync)
{
  GstStructure *stats = NULL;
  guint64 out = 0, synced = 0, bypassed = 0;

  g_object_get (lipsync, "stats", &stats, NULL);
  gst_structure_get (stats, "frames-out", G_TYPE_UINT64, &out, "frames-synced", G_TYPE_UINT64, &synced,
      "frames-bypassed", G_TYPE_UINT64, &bypassed, NULL);
  g_print ("%" G_GUINT64_FORMAT " frames, %" G_GUINT64_FORMAT " with a new mouth, %" G_GUINT64_FORMAT " untouched\n",
      out, synced, bypassed);
  gst_structure_free (stats);
}

int
main (int argc, char **argv)
{
  GError *error = NULL;

  gst_init (&argc, &argv);
  if (argc != 5) {
    g_printerr ("usage: %s IN OUT.mkv FROM TO (seconds)\n", argv[0]);
    return 2;
  }
  GstElement *pipeline = gst_parse_launch (PIPELINE, &error);
  if (error != NULL) {
    g_printerr ("%s\n", error->message);
    g_clear_error (&error);
    gst_clear_object (&pipeline);
    return EXIT_FAILURE;
  }
  set_location (pipeline, "input", argv[1]);
  set_location (pipeline, "output", argv[2]);
  GstElement *lipsync = gst_bin_get_by_name (GST_BIN (pipeline), "lipsync");
  redraw_between (lipsync, g_ascii_strtod (argv[3], NULL), g_ascii_strtod (argv[4], NULL));

  gboolean good = play (pipeline);
  if (good)
    print_counters (lipsync);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (lipsync);
  gst_object_unref (pipeline);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
