//! `lipsync-soak`: live pipelines for minutes or hours into which faults are injected, and a table
//! of what must hold at the end. Started by `cargo xtask soak`, which gives it its files.

mod disturbed_network;
mod faults;
mod live_pipeline;
mod report;
mod sources;
mod sync_pulses;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Parser;
use fastrand::Rng;
use lipsync_tools::{media, numbers::growth, usage::Usage};

use faults::{FAULTS, random_time};
use live_pipeline::{Kind, LivePipeline};
use sources::Video;
use sync_pulses::TestSignal;

/// Between two faults, in milliseconds.
const CALM_MS: (u64, u64) = (1500, 7000);
/// Before faults begin, so that a first pulse is seen in peace.
const OPENING: Duration = Duration::from_secs(5);
/// Memory settles for this long, or half of the time where that is less: until every fault and
/// every format has been there.
const WARM_UP: Duration = Duration::from_secs(600);
/// Idle threads of GLib's pools end some time after their work: 15 s.
const POOLS_REST: Duration = Duration::from_secs(17);

/// Runs live pipelines, injects faults and checks what must hold.
#[derive(Parser)]
#[command(name = "lipsync-soak")]
struct Arguments {
    /// For how long
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// The same seed gives the same faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A picture of a face
    #[arg(long)]
    picture: PathBuf,
    /// A file with speech
    #[arg(long)]
    speech: Option<PathBuf>,
}

fn main() -> ExitCode {
    lipsync_tools::finish("soak", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let (minutes, seed, picture) = (arguments.minutes, arguments.seed, &arguments.picture);
    gst::init()?;
    // This program holds the plugin itself, as its network is not one that `model` can name.
    gstlipsync::plugin_register_static()?;

    let real = disturbed_network::check_real();
    if let Err(error) = &real {
        println!("soak: a stand-in takes the place of the built-in model: {error}");
    }
    let speech = arguments.speech.as_ref().filter(|path| path.is_file());
    let speech = speech.map_or(Ok(Vec::new()), |path| media::speech(path))?;
    let signal = Arc::new(TestSignal { speech });
    let open = |kind, is_real, seed| {
        let video = Video::all(picture, is_real)?;
        LivePipeline::open(kind, is_real, video, signal.clone(), seed)
    };
    let mut pipelines = [
        open(Kind::Lipsync, real.is_ok(), seed)?,
        open(Kind::Bin, false, seed.wrapping_add(100))?,
    ];

    // Everything that stays for the life of the process has been there once.
    for pipeline in &mut pipelines {
        pipeline.play()?;
        for format in 0..sources::FORMATS {
            pipeline.disturb(OPENING / 2, |now| {
                (now.video_format, now.audio_format) = (format, format);
            })?;
        }
        pipeline.stop(gst::State::Null)?;
    }
    thread::sleep(POOLS_REST);
    let before = Usage::now()?;
    println!(
        "soak: {minutes} minutes, seed {seed}; at rest {}",
        used(&before)
    );

    let length = Duration::from_secs_f64(minutes * 60.0);
    let (growth_mib, faults) = soak(&mut pipelines, length, seed)?;
    for pipeline in &mut pipelines {
        pipeline.stop(gst::State::Null)?;
        pipeline.wait(Duration::ZERO);
    }
    thread::sleep(POOLS_REST);
    let after = Usage::now()?;

    println!("\nfaults:");
    for (fault, count) in FAULTS.iter().zip(faults) {
        println!("  {count:5}  {}", fault.name);
    }
    pipelines.iter().for_each(LivePipeline::print);
    let mut checks: Vec<_> = pipelines.iter().flat_map(report::pipeline).collect();
    checks.extend(report::process(growth_mib, before, after));
    println!("\n{}", report::table(&checks));
    match checks.iter().filter(|check| !check.holds).count() {
        0 => Ok(()),
        missed => bail!("{missed} of {} checks do not hold", checks.len()),
    }
}

fn used(usage: &Usage) -> String {
    let (mib, threads, files) = (usage.rss_mib, usage.threads, usage.files);
    format!("{mib:.0} MiB, {threads} threads, {files} files")
}

/// How often each fault came.
type Counts = [u64; FAULTS.len()];

/// One fault at a time in each pipeline; memory is read once a second meanwhile, and its growth
/// returned.
fn soak(pipelines: &mut [LivePipeline], length: Duration, seed: u64) -> Result<(f64, Counts)> {
    let began = Instant::now();
    for pipeline in pipelines.iter_mut() {
        pipeline.play()?;
        pipeline.wait(OPENING / 2);
    }
    thread::scope(|scope| {
        let start = |(pipeline, index)| {
            let random = Rng::with_seed(seed.wrapping_mul(1000).wrapping_add(index));
            scope.spawn(move || inject_faults(pipeline, began + length, random))
        };
        let controllers: Vec<_> = pipelines.iter_mut().zip(0..).map(start).collect();
        let growth = record_memory(began, length);
        let mut sums = [0; FAULTS.len()];
        for controller in controllers {
            // A panic of a controller is one of this program.
            let counts = controller.join();
            let counts = counts.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        Ok((growth?, sums))
    })
}

/// Growth of memory once it is warm, in MiB.
fn record_memory(began: Instant, length: Duration) -> Result<f64> {
    let warm = WARM_UP.min(length / 2);
    let (mut memory, mut minute) = (Vec::new(), 0);
    while began.elapsed() < length {
        thread::sleep(Duration::from_secs(1).min(length));
        let (usage, now) = (Usage::now()?, began.elapsed());
        if now > warm {
            memory.push((now.as_secs_f64(), usage.rss_mib));
        }
        if now.as_secs() / 60 > minute {
            minute = now.as_secs() / 60;
            let (used, growth) = (used(&usage), growth(&memory));
            println!("soak: minute {minute}: {used} ({growth:+.1} since it was warm)");
        }
    }
    Ok(growth(&memory))
}

/// Faults and calm in turns until it is over.
fn inject_faults(pipeline: &mut LivePipeline, ends: Instant, mut random: Rng) -> Counts {
    let mut counts = [0; FAULTS.len()];
    let mut order: Vec<usize> = Vec::new();
    while Instant::now() < ends {
        let calm = random_time(&mut random, CALM_MS.0, CALM_MS.1);
        pipeline.wait(calm.min(ends.saturating_duration_since(Instant::now())));
        // Each once, in any order, before one comes again.
        if order.is_empty() {
            order.extend(0..FAULTS.len());
            random.shuffle(&mut order);
        }
        let Some(next) = order.pop() else { continue };
        let fault = &FAULTS[next];
        counts[next] += 1;
        let outcome = fault.inject(pipeline, &mut random);
        if let Err(error) = outcome.and_then(|()| pipeline.expect_frames()) {
            let text = format!("after \"{}\": {error:#}", fault.name);
            println!("soak: {}: {text}", pipeline.kind.name());
            pipeline.errors.push(text);
            // As an operator would.
            let restarted = pipeline.restart(gst::State::Null, Duration::ZERO);
            if let Err(error) = restarted.and_then(|()| pipeline.expect_frames()) {
                let text = format!("does not play again: {error:#}");
                pipeline.errors.push(text);
                return counts;
            }
        }
    }
    counts
}
