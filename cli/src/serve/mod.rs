//! `gst-lipsync-1.0 serve`: a live programme, and the control room that a browser shows.
//!
//! The [`programme`] is a pipeline that plays from the beginning to the end. What can fail is apart from it, each in a pipeline
//! and a thread of its own, and is begun again when it has: the [`source`], in whose place the [`feed`] shows the last frame
//! meanwhile, and each [`output`]. The [`preview`] has a pipeline for each viewer. The [`room`] is what all that looks like from
//! outside, and the [`api`] what is served of it.

mod admission;
mod api;
mod feed;
mod input;
mod install;
mod log;
mod meters;
mod metrics;
mod options;
mod output;
mod preview;
mod programme;
mod room;
mod session_description;
mod source;
mod supervise;
mod test_input;
mod webrtc;
mod whip;

use std::{
    io::{self, Write as _},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::{
    exit::{Exit, Failure, Reason},
    job,
};
use api::Serving;
use log::Log;
pub use options::Options;
use output::Sender;
use programme::Programme;
use room::Room;
use source::Source;
use supervise::{Stop, renew_latency};
use whip::Whip;

/// Between two snapshots, and between two looks at whether something has to stand in for the input.
const SNAPSHOT: Duration = Duration::from_millis(100);
const STAND_IN: Duration = Duration::from_millis(10);
/// How long answers that are under way have in the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Plays and serves until a signal comes, or a file that is to be played once has ended.
///
/// # Errors
/// What keeps it from beginning, and what ends the programme.
pub fn run(options: &Options) -> Result<(), Failure> {
    let token = options.token().exit(Exit::Usage)?;
    let whip_token = options.whip_token().exit(Exit::Usage)?;
    job::start_gstreamer().exit(Exit::Installation)?;
    check(Programme::check(options), Exit::Installation)?;
    check(options.input.check(), Exit::Input)?;
    job::check_models(&options.model).exit(Exit::Input)?;
    for output in &options.output {
        check(output.check(options.force), Exit::Output)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("there is no thread for the page")?;
    let address = options.listen;
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .with_context(|| {
            format!("cannot listen on {address}; --listen takes another address or port")
        })
        .exit(Exit::Output)?;
    let address = listener.local_addr().context("a socket has an address")?;

    let log = Log::new();
    let programme = Programme::new(options).exit(Exit::Usage)?;
    programme.play()?;
    let room = Arc::new(Room::new(options, Arc::new(programme), log.clone()));
    let whip = Whip::new(runtime.handle().clone(), whip_token, options.stun.clone())?;
    let serving = Serving {
        room: room.clone(),
        token: token.map(Arc::from),
    };
    let played = Show {
        options,
        room: &room,
        whip: &whip,
        stop: Stop::default(),
    }
    .run(&runtime, listener, serving, address);
    runtime.shutdown_timeout(FAREWELL);
    played?;
    if let Some(failure) = room.input.failure() {
        return Err(failure).exit(Exit::Input);
    }
    match room.outputs.iter().find_map(|output| output.failure()) {
        Some(failure) => Err(failure).exit(Exit::Output),
        None => Ok(()),
    }
}

/// What is missing is a matter of installation, wherever it is found out.
fn check(checked: Result<()>, otherwise: Exit) -> Result<(), Failure> {
    let is_missing = checked
        .as_ref()
        .is_err_and(|error| error.is::<install::Missing>());
    checked.exit(match is_missing {
        true => Exit::Installation,
        false => otherwise,
    })
}

/// All threads while it goes on.
struct Show<'a> {
    options: &'a Options,
    room: &'a Arc<Room>,
    whip: &'a Whip,
    stop: Stop,
}

impl Show<'_> {
    fn run(
        &self,
        runtime: &Runtime,
        listener: TcpListener,
        serving: Serving,
        address: std::net::SocketAddr,
    ) -> Result<()> {
        let Self { room, stop, .. } = self;
        room.look();
        let served =
            runtime.spawn(async move { axum::serve(listener, api::router(serving)).await });
        // Whoever reads it may have gone.
        let _ = writeln!(io::stdout(), "http://{address}/");
        thread::scope(|scope| {
            scope.spawn(|| self.play_input());
            scope.spawn(|| self.stand_in());
            for number in 0..self.options.output.len() {
                scope.spawn(move || self.send(number));
            }
            let watched = self.watch();
            stop.stop();
            // Files are whole when the programme's end has come through them.
            let ended = room.programme.feed().end(room.programme.now());
            watched.and(ended)
        })?;
        served.abort();
        Ok(())
    }

    fn play_input(&self) {
        let Self {
            options,
            room,
            stop,
            ..
        } = self;
        let source = Source {
            options,
            programme: &room.programme,
            health: &room.input,
            log: &room.log,
            stop,
        };
        source.run();
        if options.once {
            stop.stop();
        }
    }

    fn stand_in(&self) {
        let programme = &self.room.programme;
        while !self.stop.is_set() {
            programme.feed().stand_in(programme.now());
            thread::sleep(STAND_IN);
        }
    }

    fn send(&self, number: usize) {
        let Self {
            options,
            room,
            whip,
            stop,
        } = self;
        let sender = Sender {
            output: &options.output[number],
            programme: &room.programme,
            health: &room.outputs[number],
            log: &room.log,
            stop,
            whip,
        };
        sender.run();
    }

    /// Hears what the programme says, and takes snapshots, until all ends.
    fn watch(&self) -> Result<()> {
        let Self { room, stop, .. } = self;
        let pipeline = room.programme.pipeline();
        let mut taken = Instant::now();
        let mut is_over = false;
        let played = pipeline.wait(
            |message| self.hear(message),
            || {
                is_over = stop.is_set();
                anyhow::ensure!(!is_over, "it is over");
                if taken.elapsed() >= SNAPSHOT {
                    taken = Instant::now();
                    room.viewers.tidy();
                    room.look();
                }
                Ok(())
            },
        );
        match is_over {
            true => Ok(()),
            false => played,
        }
    }

    fn hear(&self, message: &gst::Message) -> Result<()> {
        let log = &self.room.log;
        match message.view() {
            gst::MessageView::Latency(_) => {
                renew_latency(self.room.programme.pipeline());
            }
            gst::MessageView::Warning(warning) => log.warning(warning.error().to_string()),
            gst::MessageView::Info(info) => log.info(info.error().to_string()),
            gst::MessageView::Progress(progress) => {
                let (kind, _, text) = progress.get();
                if kind != gst::ProgressType::Continue {
                    log.info(text.to_owned());
                }
            }
            gst::MessageView::Element(element) => {
                if let Some(structure) = element.structure()
                    && structure.name() == "level"
                {
                    self.room.meters.hear(structure);
                }
            }
            _ => (),
        }
        Ok(())
    }
}
