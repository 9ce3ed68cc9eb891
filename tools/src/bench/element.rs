//! The whole element in a pipeline: raw frames and audio in, a fakesink behind it. One as fast as it
//! can, several at once, one live.

use std::{
    hash::{DefaultHasher, Hasher as _},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;
use lipsync_tools::{
    media::SPEECH_RATE,
    pipeline::{self, LipsyncPipeline, Stats},
    usage::Usage,
};

use crate::{
    child::{self, Draw, Order, Times, WARM_UP, WHOLE},
    input::{FRAME_NS, Material, SECOND, bytes_to_ns},
    results::{AtOnce, Latency},
};

/// Longest wait for a frame: a slow network and ten streams.
const PATIENCE: Duration = Duration::from_secs(120);
/// Audio that is pushed ahead of the frames, more than any network hears ahead.
const AUDIO_AHEAD_NS: i64 = 2_000_000_000;
/// Frames that wait for one of several elements: as few as keep it busy, since all are in memory.
const FRAMES_AHEAD: usize = 2;
/// Frames of each stream whose bytes are compared.
const COMPARED: usize = 4;
/// Live, audio comes in blocks of 10 ms.
const BLOCK: usize = SECOND / 100;
const BLOCK_NS: i64 = 10_000_000;
/// Frames before the live ones that are measured: everything is new then.
const SETTLE: usize = 25;

/// Counters of the element that stay 0 while it does all its work.
const UNDRAWN: [&str; 5] = [
    "frames-silent",
    "frames-no-face",
    "frames-bypassed",
    "frames-late",
    "frames-error",
];

/// When a frame came out, and the hash of its bytes.
type Arrival = (Instant, Option<u64>);

/// A running pipeline.
pub struct TimedElement {
    run: LipsyncPipeline,
    arrivals: mpsc::Receiver<Arrival>,
    material: Arc<Material>,
    /// Bytes of audio pushed.
    pushed: usize,
    next: usize,
    /// Frames by which this stream is ahead in the material.
    offset: usize,
}

impl TimedElement {
    pub fn open(order: &Order) -> Result<Self> {
        let material = Material::read(&order.input, order.amount)?;
        Self::start(order, &Arc::new(material), 0, false, false)
    }

    /// A pipeline that begins `offset` frames later in the material; live or as fast as it can, with
    /// hashes of what comes out or without.
    fn start(
        order: &Order,
        material: &Arc<Material>,
        offset: usize,
        is_live: bool,
        is_hashed: bool,
    ) -> Result<Self> {
        gst::init()?;
        let mut properties = order.variant.properties(order.threads);
        properties.push(("silence", "animate".into()));
        let manifest = order.model.manifest();
        properties.extend(manifest.map(|path| ("model", path.display().to_string())));
        let audio = (gst_audio::AudioFormat::S16le, SPEECH_RATE);
        let caps = order.input.video()?.to_caps()?;
        let run = LipsyncPipeline::play(&caps, audio, "fakesink", is_live, &properties)?;

        let (sender, arrivals) = mpsc::channel();
        let pad = run.pipeline.pad("sink", "sink")?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let at = Instant::now();
            let buffer = info.buffer().filter(|_| is_hashed);
            let hash = buffer.and_then(|buffer| {
                let mut hasher = DefaultHasher::new();
                hasher.write(&buffer.map_readable().ok()?);
                Some(hasher.finish())
            });
            // Nobody listens once the measuring is over.
            let _ = sender.send((at, hash));
            gst::PadProbeReturn::Ok
        });
        Ok(Self {
            run,
            arrivals,
            material: Arc::clone(material),
            pushed: 0,
            next: 0,
            offset,
        })
    }

    /// `count` frames that nobody else holds, as a decoder hands them over.
    fn frames(&mut self, count: usize) -> Result<Vec<gst::Buffer>> {
        let frame = |_| {
            let pixels = self.material.frame(self.next + self.offset).to_vec();
            self.next += 1;
            pipeline::buffer(pixels, (self.next - 1) as i64 * FRAME_NS, FRAME_NS)
        };
        (0..count).map(frame).collect()
    }

    /// Pushes frames, and before them the audio that they wait for; when the first was pushed.
    fn push(&mut self, count: usize) -> Result<Instant> {
        let frames = self.frames(count)?;
        while bytes_to_ns(self.pushed) < self.next as i64 * FRAME_NS + AUDIO_AHEAD_NS {
            self.push_audio(SECOND)?;
        }
        let at = Instant::now();
        for frame in frames {
            self.run.video.push_buffer(frame)?;
        }
        Ok(at)
    }

    fn push_audio(&mut self, length: usize) -> Result<()> {
        let audio = self.material.audio(self.pushed, length);
        let (time_ns, lasts_ns) = (bytes_to_ns(self.pushed), bytes_to_ns(length));
        let buffer = pipeline::buffer(audio, time_ns, lasts_ns)?;
        self.run.audio.push_buffer(buffer)?;
        self.pushed += length;
        Ok(())
    }

    /// The next frame that comes out.
    fn arrival(&self) -> Result<Arrival> {
        let arrival = self.arrivals.recv_timeout(PATIENCE);
        let nothing = || anyhow!("no frame came out within {PATIENCE:?}");
        arrival.map_err(|_| self.run.pipeline.error().unwrap_or_else(nothing))
    }

    /// Fails unless every frame was drawn to the audio.
    fn check(&self) -> Result<()> {
        let stats = Stats::of(&self.run.lipsync);
        match UNDRAWN.iter().find(|name| stats.count(name) > 0) {
            Some(name) => bail!("{name}: {}", stats.count(name)),
            None => Ok(()),
        }
    }

    /// Hashes of the next frames.
    fn hashes(mut self) -> Result<Vec<u64>> {
        self.push(COMPARED)?;
        let hashes = (0..COMPARED).map(|_| self.arrival()?.1.context("no bytes"));
        let hashes = hashes.collect::<Result<Vec<_>>>()?;
        self.check()?;
        Ok(hashes)
    }
}

impl Draw for TimedElement {
    /// A frame's time is from the one before, and of the first from its being pushed.
    fn draw(&mut self, count: usize) -> Result<Times> {
        let mut last = self.push(count)?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let (at, _) = self.arrival()?;
            times.push((at - last).as_secs_f64() * 1e3);
            last = at;
        }
        self.check()?;
        Ok([(WHOLE.into(), times)].into())
    }
}

/// Several elements at once in one process: how many frames a second all together, how long each
/// takes, how much memory, and whether each draws what it draws alone.
pub fn streams(order: &Order, streams: usize, frames: usize) -> Result<AtOnce> {
    let material = Arc::new(Material::read(&order.input, order.amount)?);
    let open = |offset, is_hashed| TimedElement::start(order, &material, offset, false, is_hashed);
    let open_all = |is_hashed| {
        let all = (0..streams).map(|stream| open(stream, is_hashed));
        all.collect::<Result<Vec<_>>>()
    };
    let warm = at_once(open_all(false)?, |mut element| {
        element.draw(WARM_UP)?;
        Ok(element)
    })?;
    let timed = at_once(warm, |mut element| {
        let from = Instant::now();
        let mut times = Vec::with_capacity(frames);
        while times.len() < frames {
            let mut drawn = element.draw(FRAMES_AHEAD.min(frames - times.len()))?;
            times.extend(drawn.remove(WHOLE).unwrap_or_default());
        }
        Ok((from, Instant::now(), times, element))
    })?;
    // While all of them are still there.
    let memory = Usage::now()?;
    let first = timed.iter().map(|(from, ..)| *from).min();
    let last = timed.iter().map(|(_, until, ..)| *until).max();
    let (first, last) = first.zip(last).context("no streams")?;
    let times = timed.into_iter().flat_map(|(_, _, times, _)| times);
    let frame_ms: Vec<f64> = times.collect();

    let together = at_once(open_all(true)?, TimedElement::hashes)?;
    let mut differ = 0;
    for (stream, together) in together.iter().enumerate() {
        differ += u64::from(open(stream, true)?.hashes()? != *together);
    }
    Ok(AtOnce {
        frames_per_second: frame_ms.len() as f64 / (last - first).as_secs_f64(),
        frame_ms,
        memory,
        streams_that_differ: differ,
    })
}

/// Does the same to all at the same time.
fn at_once<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let work = &work;
    thread::scope(|scope| {
        let start = |one| scope.spawn(move || work(one));
        let threads: Vec<_> = all.into_iter().map(start).collect();
        let join = |thread: thread::ScopedJoinHandle<_>| {
            thread.join().map_err(|_| anyhow!("a stream panicked"))?
        };
        threads.into_iter().map(join).collect()
    })
}

/// A live pipeline: how long after its moment a frame comes out, beyond the audio that it waits for.
pub fn latency(order: &Order, count: usize) -> Result<Latency> {
    let look_ahead_ns = child::engine(order)?.hearing().look_ahead_ns;
    let material = Arc::new(Material::read(&order.input, order.amount)?);
    let mut element = TimedElement::start(order, &material, 0, true, false)?;
    let total = SETTLE + count;
    let mut frames = element.frames(total)?.into_iter();
    // Time zero of frames and audio is this moment of the pipeline's clock.
    let now = element.run.pipeline.current_running_time();
    let now = now.context("a playing pipeline has a time")?;
    for source in ["video", "audio"] {
        let pad = element.run.pipeline.pad(source, "src")?;
        pad.set_offset(now.nseconds().try_into()?);
    }
    let started = Instant::now();
    let (mut heard_ns, mut shown) = (0, 0);
    // Every source hands over what has just happened: audio once it is whole, a frame at its time.
    let end_ns = total as i64 * FRAME_NS + look_ahead_ns + 1_000_000_000;
    while heard_ns < end_ns {
        if shown * FRAME_NS <= heard_ns
            && let Some(frame) = frames.next()
        {
            element.run.video.push_buffer(frame)?;
            shown += 1;
        }
        heard_ns += BLOCK_NS;
        let due = Duration::from_nanos(heard_ns.try_into()?);
        thread::sleep(due.saturating_sub(started.elapsed()));
        element.push_audio(BLOCK)?;
    }
    // What its sources and the element say to a query.
    let mut query = gst::query::Latency::new();
    if !element
        .run
        .pipeline
        .pad("lipsync", "src")?
        .query(&mut query)
    {
        bail!("the element does not know its latency");
    }
    let mut late = Vec::with_capacity(total);
    for index in 0..total {
        let arrival = element.arrival();
        let (at, _) = arrival.with_context(|| format!("frame {index}"))?;
        let due_ns = index as i64 * FRAME_NS + look_ahead_ns;
        late.push((at - started).as_secs_f64() * 1e3 - due_ns as f64 / 1e6);
    }
    let deadline: gst::ClockTime = element.run.lipsync.property("processing-deadline");
    Ok(Latency {
        look_ahead_ms: look_ahead_ns as f64 / 1e6,
        processing_deadline_ms: deadline.nseconds() as f64 / 1e6,
        reported_ms: query.result().1.nseconds() as f64 / 1e6,
        after_look_ahead_ms: late.split_off(SETTLE),
    })
}
