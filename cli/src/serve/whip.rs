//! Sends the programme to a WebRTC server: WHIP, RFC 9725. The offer goes there by HTTP, the answer comes back, and the session
//! is deleted in the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gst::prelude::*;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use axum::{
    body::Bytes,
    http::{Method, Request, Response, StatusCode, Uri, header},
};

use super::{
    session_description::{self, Kind},
    webrtc,
};
use crate::pipeline::Pipeline;

pub const WORDS: &str = "webrtcbin name=whip bundle-policy=max-bundle \
    appsrc name=video ! h264parse ! rtph264pay pt=96 config-interval=-1 aggregate-mode=zero-latency \
    ! application/x-rtp,media=video,encoding-name=H264,payload=96 ! whip. \
    appsrc name=audio ! rtpopuspay pt=97 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! whip.";
const SDP: &str = "application/sdp";
/// How long a server may take to answer, and how much it may say.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: usize = 1 << 20;
const REDIRECTS: usize = 3;

/// What all WHIP outputs have in common.
pub struct Whip {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: tokio::runtime::Handle,
    token: Option<String>,
    stun: Option<String>,
}

impl Whip {
    /// # Errors
    /// Where this system has no certificates to trust.
    pub fn new(
        runtime: tokio::runtime::Handle,
        token: Option<String>,
        stun: Option<String>,
    ) -> Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .context("this system has no certificates to trust")?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime,
            token,
            stun,
        })
    }

    /// A session for a pipeline of [`WORDS`] that has yet to play.
    ///
    /// # Errors
    /// For what is no address.
    pub fn begin<'a>(&'a self, address: &str, pipeline: &Pipeline) -> Result<Session<'a>> {
        let webrtc: gst::Element = pipeline.element("whip")?;
        webrtc.set_property("stun-server", &self.stun);
        for pad in webrtc.sink_pads() {
            let transceiver: gst::glib::Object = pad.property("transceiver");
            transceiver.set_property_from_str("direction", "sendonly");
        }
        let is_ready = Arc::new(AtomicBool::new(false));
        let ready = is_ready.clone();
        webrtc.connect("on-negotiation-needed", false, move |_| {
            ready.store(true, Ordering::Release);
            None
        });
        Ok(Session {
            whip: self,
            address: address
                .parse()
                .with_context(|| format!("{address} is no address"))?,
            webrtc,
            is_ready,
            resource: None,
            begun: Instant::now(),
        })
    }

    /// Asks a server and gives what it answers. The token is for the `own` one alone.
    async fn ask(
        &self,
        method: &Method,
        own: &Uri,
        address: &Uri,
        text: &str,
    ) -> Result<Response<String>> {
        let mut request = Request::builder().method(method).uri(address);
        if let Some(token) = &self.token
            && is_same_server(own, address)
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !text.is_empty() {
            request = request.header(header::CONTENT_TYPE, SDP);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(text.as_bytes())))?;
        let answer = tokio::time::timeout(PATIENCE, async {
            let (head, body) = self.client.request(request).await?.into_parts();
            let body = Limited::new(body, LONGEST).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            let text = String::from_utf8_lossy(&body).into_owned();
            anyhow::Ok(Response::from_parts(head, text))
        });
        let answer = answer.await.context("the server does not answer")?;
        answer.context("the server cannot be reached")
    }

    /// Sends an offer. The answer, and where the session can be deleted.
    async fn offer(&self, own: &Uri, offer: &str) -> Result<(String, Option<Uri>)> {
        let mut address = own.clone();
        for _ in 0..=REDIRECTS {
            let answer = self.ask(&Method::POST, own, &address, offer).await?;
            let location = answer.headers().get(header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let location = location.and_then(|location| resolve(&address, location));
            match (answer.status(), location) {
                (StatusCode::CREATED, resource) => return Ok((answer.into_body(), resource)),
                (status, Some(next)) if status.is_redirection() => {
                    // A token is for whom it was given.
                    if self.token.is_some() && !is_same_server(own, &next) {
                        bail!("the server sends the token elsewhere, to {next}");
                    }
                    address = next;
                }
                (status, _) => bail!("the server refuses: {status}{}", first_line(answer.body())),
            }
        }
        bail!("the server sends from one address to the next")
    }
}

/// Whether a secret for the one may be sent to the other.
fn is_same_server(one: &Uri, other: &Uri) -> bool {
    (one.scheme(), one.authority()) == (other.scheme(), other.authority())
}

/// What a server says for people, after a space; some say it in pages.
fn first_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.trim().lines().next().unwrap_or_default().trim();
    match line.is_empty() || line.starts_with('<') || line.len() > LONGEST {
        true => String::new(),
        false => format!(" {line}"),
    }
}

/// What a server calls an address, seen from the one that was asked.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    if location.contains("://") {
        return location.parse().ok();
    }
    let path = match location.starts_with('/') {
        true => location.to_owned(),
        false => {
            let folder = from
                .path()
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            format!("{folder}/{location}")
        }
    };
    let builder = Uri::builder().scheme(from.scheme()?.clone());
    let builder = builder.authority(from.authority()?.clone());
    builder.path_and_query(path).build().ok()
}

pub struct Session<'a> {
    whip: &'a Whip,
    address: Uri,
    webrtc: gst::Element,
    /// `webrtcbin` knows what it has to offer.
    is_ready: Arc<AtomicBool>,
    resource: Option<Uri>,
    begun: Instant,
}

impl Session<'_> {
    /// Goes on with it; to be called again and again. Whether it is connected.
    ///
    /// # Errors
    /// What the server says, and when the connection fails.
    pub fn look(&mut self) -> Result<bool> {
        if self.is_ready.swap(false, Ordering::AcqRel) {
            let offer = webrtc::describe(&self.webrtc, "offer")?;
            let answered = self.whip.offer(&self.address, &offer);
            let (answer, resource) = self.whip.runtime.block_on(answered)?;
            self.resource = resource;
            let answer = session_description::from_text(Kind::Answer, &answer)?;
            webrtc::ask(&self.webrtc, "set-remote-description", answer)?;
        }
        webrtc::is_connected(&self.webrtc, self.begun)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(resource) = self.resource.take() {
            let deleted = self.whip.ask(&Method::DELETE, &self.address, &resource, "");
            // The server notices by itself, later.
            let _ = self.whip.runtime.block_on(deleted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_its_own_server() {
        let own: Uri = "https://host/whip".parse().unwrap();
        for (other, is_same) in [
            ("https://host/resource/7", true),
            ("http://host/whip", false),
            ("https://other/whip", false),
            ("https://host:8443/whip", false),
        ] {
            assert_eq!(is_same_server(&own, &other.parse().unwrap()), is_same);
        }
    }

    #[test]
    fn what_a_server_says_is_a_line() {
        assert_eq!(first_line("no such stream\nmore"), " no such stream");
        for text in ["", "<html>404</html>", &"x".repeat(300)] {
            assert_eq!(first_line(text), "");
        }
    }

    #[test]
    fn locations_are_seen_from_the_address_that_was_asked() {
        let from: Uri = "https://host:8443/whip/one?x=1".parse().unwrap();
        for (location, to) in [
            ("/resource/7", "https://host:8443/resource/7"),
            ("two", "https://host:8443/whip/two"),
            ("http://other/a", "http://other/a"),
        ] {
            assert_eq!(resolve(&from, location).unwrap().to_string(), to);
        }
    }
}
