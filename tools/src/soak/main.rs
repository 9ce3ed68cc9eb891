//! `lipsync-soak`: live pipelines for minutes or hours while everything around them goes wrong, and
//! a table of what must hold at the end. Started by `cargo xtask soak`, which gives it its files.

mod fault;
mod network;
mod pictures;
mod pulses;
mod report;
mod sources;
mod station;
mod vitals;
mod weather;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lipsync_tools::{arguments::Arguments, media};

use fault::Fault;
use pulses::Programme;
use station::{Build, Station};
use vitals::{Course, Vitals};
use weather::{Dice, Weather};

const DEFAULT_SEED: u64 = 1;
/// Between two faults.
const CALM_MS: (u64, u64) = (1500, 7000);
/// Before faults begin, so that a first pulse is seen in peace.
const OPENING: Duration = Duration::from_secs(5);
/// Of pictures and of sound, each.
const FORMATS: usize = 6;
/// Memory settles for this long, or half of the time where that is less: until every fault and
/// every format has been there.
const WARM_UP: Duration = Duration::from_secs(600);
/// Idle threads of GLib's pools end some time after their work: 15 s.
const POOLS_REST: Duration = Duration::from_secs(17);
/// GLib keeps this many idle threads for ever.
const IDLE_THREADS: u64 = 2;
/// What resident memory may grow by after warming up: what the allocator's free lists and larger
/// frames make of it. One frame of 640x480 that leaks every minute exceeds it within the hour.
const MEMORY_KIB: f64 = 24.0 * 1024.0;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything holds.
fn run() -> Result<bool> {
    let arguments = Arguments::read(&["--minutes", "--seed", "--picture", "--speech"])?;
    let number = |name: &str| match arguments.text(name) {
        Some(text) => text
            .parse()
            .map(Some)
            .with_context(|| format!("{name} is {text}, a number is wanted")),
        None => Ok(None),
    };
    let minutes: f64 = number("--minutes")?.unwrap_or(3.0);
    let seed = number("--seed")?.map_or(DEFAULT_SEED, |seed: f64| seed as u64);
    gst::init()?;
    // This program holds the plugin itself, as its network is not one that `model` can name.
    gstlipsync::plugin_register_static()?;

    let is_real = match network::check_real() {
        Ok(()) => true,
        Err(error) => {
            println!("soak: a stand-in takes the place of the built-in model: {error}");
            false
        }
    };
    let picture = arguments.required_path("--picture")?;
    let programme = Arc::new(Programme {
        speech: match arguments.path("--speech").filter(|path| path.is_file()) {
            Some(path) => media::sound(&path)?,
            None => Vec::new(),
        },
    });
    let large = Arc::new(pictures::of(&picture, true)?);
    let small = Arc::new(pictures::of(&picture, false)?);
    let mut stations = [
        Station::open(
            Build::Lipsync,
            is_real,
            if is_real { large } else { small.clone() },
            programme.clone(),
            seed,
        )?,
        Station::open(Build::Bin, false, small, programme, seed.wrapping_add(100))?,
    ];

    // Everything that stays for the life of the process has been there once.
    for station in &mut stations {
        station.play()?;
        for format in 0..FORMATS {
            station
                .sky
                .change(|weather| (weather.picture, weather.sound) = (format, format));
            station.wait(OPENING / 2);
        }
        station.sky.change(|weather| *weather = Weather::default());
        station.stop(gst::State::Null)?;
    }
    std::thread::sleep(POOLS_REST);
    let before = Vitals::now()?;
    println!(
        "soak: {minutes} minutes, seed {seed}; at rest {} MiB, {} threads, {} files",
        before.memory / 1024,
        before.threads,
        before.files
    );

    let length = Duration::from_secs_f64(minutes * 60.0);
    let soaked = soak(&mut stations, length, seed)?;

    let mut lines = Vec::new();
    for station in &mut stations {
        station.stop(gst::State::Null)?;
        station.attend();
        let (offsets, skipped) = station.pulses();
        let name = station.build.name();
        lines.extend(report::of_station(
            name,
            &offsets,
            skipped,
            station.frames(),
        ));
        lines.push(report::of_faults(
            &format!("{name}: errors, and faults after which no frame came"),
            station.errors.len(),
        ));
    }
    std::thread::sleep(POOLS_REST);
    let after = Vitals::now()?;
    lines.push(report::of_memory(
        soaked.memory.growth(),
        MEMORY_KIB,
        after.memory,
    ));
    lines.push(report::of_count(
        "threads at rest",
        before.threads,
        after.threads,
        IDLE_THREADS,
    ));
    lines.push(report::of_count(
        "files at rest",
        before.files,
        after.files,
        0,
    ));

    println!("\nfaults:");
    for (fault, count) in &soaked.faults {
        println!("  {count:5}  {}", fault.name());
    }
    for station in &stations {
        let frames = station.frames();
        println!(
            "{}: {} frames in, {} drawn to sound, {} without all their sound, {} that failed",
            station.build.name(),
            frames.taken,
            frames.synced,
            frames.late,
            frames.failed
        );
        let (offsets, skipped) = station.pulses();
        println!(
            "  {} pulses seen; disturbed: {} in sound, {} in frames, {} not drawn or too early",
            offsets.len(),
            skipped.sound,
            skipped.frames,
            skipped.drawing
        );
        for error in &station.errors {
            println!("{}: {error}", station.build.name());
        }
    }
    println!("\n{}", report::table(&lines));
    Ok(lines.iter().all(|line| line.holds))
}

struct Soaked {
    memory: Course,
    faults: Vec<(Fault, u64)>,
}

/// One station's faults at a time; memory is read once a second while they strike.
fn soak(stations: &mut [Station], length: Duration, seed: u64) -> Result<Soaked> {
    let began = Instant::now();
    let ends = began + length;
    for station in stations.iter_mut() {
        station.play()?;
        station.wait(OPENING / 2);
    }
    std::thread::scope(|scope| {
        let controllers: Vec<_> = stations
            .iter_mut()
            .zip(0..)
            .map(|(station, index)| {
                let dice = Dice::new(seed.wrapping_mul(1000).wrapping_add(index));
                scope.spawn(move || control(station, ends, dice))
            })
            .collect();
        let memory = record(began, length);
        let mut faults = Fault::ALL.map(|fault| (fault, 0));
        for controller in controllers {
            // A panic of a controller is one of this program.
            let counts = controller
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (sum, count) in faults.iter_mut().zip(counts) {
                sum.1 += count;
            }
        }
        memory.map(|memory| Soaked {
            memory,
            faults: faults.to_vec(),
        })
    })
}

fn record(began: Instant, length: Duration) -> Result<Course> {
    let warm = WARM_UP.min(length / 2);
    let mut memory = Course::default();
    let mut minute = 0;
    while began.elapsed() < length {
        std::thread::sleep(Duration::from_secs(1).min(length));
        let vitals = Vitals::now()?;
        if began.elapsed() > warm {
            memory.add(began, vitals.memory);
        }
        if began.elapsed().as_secs() / 60 > minute {
            minute = began.elapsed().as_secs() / 60;
            println!(
                "soak: minute {minute}: {} MiB ({:+.1} since it was warm), {} threads, {} files",
                vitals.memory / 1024,
                memory.growth() / 1024.0,
                vitals.threads,
                vitals.files
            );
        }
    }
    Ok(memory)
}

/// Faults and calm in turns until it is over; how often each fault struck.
fn control(station: &mut Station, ends: Instant, mut dice: Dice) -> [u64; Fault::ALL.len()] {
    let mut counts = [0; Fault::ALL.len()];
    let mut bag: Vec<usize> = Vec::new();
    while Instant::now() < ends {
        let calm = dice.time(CALM_MS.0, CALM_MS.1);
        station.wait(calm.min(ends.saturating_duration_since(Instant::now())));
        // Each once, in any order, before one comes again.
        if bag.is_empty() {
            bag.extend(0..Fault::ALL.len());
        }
        let drawn = bag.swap_remove(dice.below(bag.len() as u64) as usize);
        let fault = Fault::ALL[drawn];
        counts[drawn] += 1;
        let outcome = fault.strike(station, &mut dice);
        if let Err(error) = outcome.and_then(|()| station.expect_frames()) {
            let text = format!("after \"{}\": {error:#}", fault.name());
            println!("soak: {}: {text}", station.build.name());
            station.errors.push(text);
            // As an operator would.
            let restarted = station
                .stop(gst::State::Null)
                .and_then(|()| station.play())
                .and_then(|()| station.expect_frames());
            if let Err(error) = restarted {
                station
                    .errors
                    .push(format!("does not play again: {error:#}"));
                return counts;
            }
        }
    }
    counts
}
