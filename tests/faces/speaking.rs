//! Who of several people gets the voice with `face-select=speaking`.

use gst::prelude::*;

use crate::clips;

/// Left edges of the faces that were drawn in each frame of a picture in a picture: the first clip
/// large, its first frame throughout where it `stands` still, and the second one small at the right,
/// with the sound of one of them.
fn drawn(clips: [&str; 2], stands: bool, sound: usize) -> Option<Vec<Vec<u32>>> {
    let [large, small] = clips.map(clips::clip);
    let (large, small) = (large?, small?);
    gst::init().unwrap();
    gstlipsync::plugin_register_static().unwrap();
    let still = match stands {
        true => "imagefreeze num-buffers=74 ! video/x-raw,framerate=25/1 !",
        false => "",
    };
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! decodebin name=d0 ! videoconvert ! videoscale \
         ! video/x-raw,width=720,height=576,pixel-aspect-ratio=1/1 ! {still} c.sink_0 \
         filesrc location={} ! decodebin name=d1 ! videoconvert ! videoscale \
         ! video/x-raw,width=200,height=160,pixel-aspect-ratio=1/1 ! c.sink_1 \
         compositor name=c sink_1::xpos=510 sink_1::ypos=10 ! video/x-raw,framerate=25/1 \
         ! videoconvert ! video/x-raw,format=I420 ! l.video \
         lipsync name=l face-select=speaking attach-meta=true ! appsink name=sink sync=false \
         d{sound}. ! audioconvert ! audioresample ! audio/x-raw,format=S16LE ! queue \
         max-size-time=0 max-size-buffers=0 ! l.audio",
        large.to_str().unwrap(),
        small.to_str().unwrap(),
    ))
    .unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap();
    let sink = sink.downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut drawn: Vec<Vec<u32>> = Vec::new();
    while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(60)) {
        let buffer = sample.buffer().unwrap();
        let metas = buffer.iter_meta::<gst_video::VideoRegionOfInterestMeta>();
        drawn.push(metas.map(|meta| meta.rect().0).collect());
    }
    let stats = pipeline
        .by_name("l")
        .unwrap()
        .property::<gst::Structure>("stats");
    let [no_face, no_speaker] =
        ["no-face", "no-speaker"].map(|name| stats.get::<u64>(format!("frames-{name}")).unwrap());
    let unmarked = drawn.iter().filter(|faces| faces.is_empty()).count() as u64;
    assert_eq!([no_face, no_speaker], [0, unmarked], "{stats}");
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(drawn.len() > 60, "{} frames", drawn.len());
    Some(drawn)
}

const PAIRS: [[&str; 2]; 4] = [
    ["x02", "x04"],
    ["s1_bbaf2n", "x15"],
    ["x12", "s26_bgbsza"],
    ["x15", "s31_bgiq6p"],
];
/// No face of the small picture begins further left, and none of the large one further right.
const SMALL: u32 = 500;

#[test]
fn a_large_silent_face_does_not_get_the_voice_of_a_small_one() {
    for pair in PAIRS {
        let Some(drawn) = drawn(pair, true, 1) else {
            return;
        };
        let wrong = drawn.iter().flatten().filter(|&&left| left < SMALL);
        assert_eq!(wrong.count(), 0, "{pair:?}: {drawn:?}");
        let right = drawn.iter().flatten().count();
        assert!(right > drawn.len() / 2, "{pair:?}: {drawn:?}");
    }
}

#[test]
fn the_voice_is_the_large_face_s_where_that_one_speaks() {
    // The small one speaks, too, but is silent as long as the sound is there.
    let Some(drawn) = drawn(["x15", "x05"], false, 0) else {
        return;
    };
    let last = &drawn[drawn.len() - 10];
    assert!(
        last.iter().all(|&left| left < SMALL) && last.len() == 1,
        "{drawn:?}"
    );
}
