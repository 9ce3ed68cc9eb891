//! The programme in browsers: each viewer is a WebRTC session in a pipeline of its own. The browser offers and is answered, as
//! WHEP has it, so that players other than the page can watch too.
//!
//! All of this waits, and is not for threads that must not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use gst::prelude::*;
use gst_sdp::SDPMessage;
use gst_utils::{ConsumptionLink, StreamProducer};

use super::{
    log::Log,
    programme::Programme,
    session_description::{self, Kind},
    webrtc,
};
use crate::pipeline::Pipeline;

/// More would be for a server that is made for that: an output.
const MOST: usize = 8;

/// Who watches.
pub struct Viewers {
    programme: Arc<Programme>,
    log: Log,
    stun: Option<String>,
    viewers: Mutex<HashMap<u64, Viewer>>,
}

struct Viewer {
    // Before the pipeline: nothing comes any more when that stops.
    _links: Vec<ConsumptionLink>,
    webrtc: gst::Element,
    begun: Instant,
    was_connected: bool,
    pipeline: Pipeline,
}

impl Viewers {
    pub fn new(programme: Arc<Programme>, stun: Option<String>, log: Log) -> Self {
        Self {
            programme,
            log,
            stun,
            viewers: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Viewer>> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Answers an offer; the answer, and the number by which the viewer can be let go.
    ///
    /// # Errors
    /// For an offer that has none of the codecs, and when there are too many.
    pub fn add(&self, offer: &str) -> Result<(u64, String)> {
        if self.count() >= MOST {
            bail!("{MOST} viewers are here already");
        }
        let (viewer, answer) = self.answer(offer)?;
        let id =
            u64::from(gst::glib::random_int()) << 20 | u64::from(gst::glib::random_int()) >> 12;
        self.lock().insert(id, viewer);
        self.programme.show_preview(true);
        Ok((id, answer))
    }

    /// Lets a viewer go; whether there was one.
    pub fn remove(&self, id: u64) -> bool {
        let viewer = self.lock().remove(&id);
        self.programme.show_preview(self.count() > 0);
        viewer.is_some()
    }

    /// Lets those go that have gone; to be called again and again.
    pub fn tidy(&self) {
        let has_gone = |viewer: &mut Viewer| {
            if let Some(error) = viewer.pipeline.error() {
                self.log.warning(format!("a preview has failed: {error:#}"));
                return true;
            }
            let connected = webrtc::is_connected(&viewer.webrtc, viewer.begun);
            viewer.was_connected |= matches!(connected, Ok(true));
            match connected {
                Err(_) => true,
                // A page that was closed says nothing.
                Ok(is_connected) => viewer.was_connected && !is_connected,
            }
        };
        let mut viewers = self.lock();
        let gone: Vec<_> = viewers
            .iter_mut()
            .filter_map(|(id, viewer)| has_gone(viewer).then_some(*id))
            .collect();
        // Stopping a pipeline waits for its threads.
        let gone: Vec<_> = gone.iter().filter_map(|id| viewers.remove(id)).collect();
        drop(viewers);
        if !gone.is_empty() {
            drop(gone);
            self.programme.show_preview(self.count() > 0);
        }
    }

    fn answer(&self, offer: &str) -> Result<(Viewer, String)> {
        let message = SDPMessage::parse_buffer(offer.as_bytes())
            .ok()
            .context("the offer is no session description")?;
        let video =
            payload(&message, "video", "VP8/90000").context("the offer has no VP8 video")?;
        let audio = payload(&message, "audio", "opus/48000");
        let audio_words = audio.map(|audio| {
            format!(
                "appsrc name=audio ! rtpopuspay pt={audio} \
                 ! application/x-rtp,media=audio,encoding-name=OPUS,payload={audio} ! webrtc. "
            )
        });
        let pipeline = Pipeline::parse(&format!(
            "webrtcbin name=webrtc bundle-policy=max-bundle \
             appsrc name=video ! rtpvp8pay pt={video} picture-id-mode=15-bit \
             ! application/x-rtp,media=video,encoding-name=VP8,payload={video} ! webrtc. {}",
            audio_words.unwrap_or_default()
        ))?;
        let webrtc: gst::Element = pipeline.element("webrtc")?;
        webrtc.set_property("stun-server", &self.stun);
        self.programme.share_time_with(&pipeline);
        let mut sources: Vec<gst_app::AppSrc> = vec![pipeline.element("video")?];
        if audio.is_some() {
            sources.push(pipeline.element("audio")?);
        }
        // They have to know before they begin that they are live.
        sources.iter().for_each(StreamProducer::configure_consumer);
        pipeline.play()?;
        let offer = session_description::from_text(Kind::Offer, offer)?;
        webrtc::ask(&webrtc, "set-remote-description", offer)?;
        let answer = webrtc::describe(&webrtc, "answer")?;
        let encoded = self.programme.encoded();
        // What comes before it is connected waits no longer than it may.
        let producers = [&encoded.preview, &encoded.opus];
        let links = sources.iter().zip(producers);
        let links = links.map(|(source, producer)| producer.add_consumer(source));
        let links = links.collect::<Result<_, _>>()?;
        let viewer = Viewer {
            _links: links,
            webrtc,
            begun: Instant::now(),
            was_connected: false,
            pipeline,
        };
        Ok((viewer, answer))
    }
}

/// The number by which an offer calls a codec.
fn payload(offer: &SDPMessage, media: &str, codec: &str) -> Option<u32> {
    let medias = offer.medias().filter(|found| found.media() == Some(media));
    let maps = medias.flat_map(|media| media.attributes());
    let mut maps = maps.filter(|attribute| attribute.key() == "rtpmap");
    maps.find_map(|map| {
        let (number, name) = map.value()?.split_once(' ')?;
        let is_it = name.get(..codec.len())?.eq_ignore_ascii_case(codec);
        is_it.then(|| number.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_found_by_their_names() {
        gst::init().unwrap();
        let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 45 96\r\na=rtpmap:45 AV1/90000\r\na=rtpmap:96 VP8/90000\r\n";
        let offer = SDPMessage::parse_buffer(offer.as_bytes()).unwrap();
        assert_eq!(payload(&offer, "video", "VP8/90000"), Some(96));
        assert_eq!(payload(&offer, "audio", "opus/48000"), Some(111));
        assert_eq!(payload(&offer, "audio", "PCMU/8000"), None);
    }
}
