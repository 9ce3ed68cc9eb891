//! `lipsync-eval`: how well the mouths match, measured on people that the renderer has never seen.
//! Started by `cargo xtask eval`.
//!
//! Every figure is taken from the frames that come out of the real element; the plugin's face
//! mesh looks at them as it looks at the real video. The input's own mouth never helps: it is
//! frozen, or says other words than the sound.

mod audio;
mod clip;
mod figures;
mod follow;
mod hard_cases;
mod inside;
mod languages;
mod measure;
mod moments;
mod people;
mod report;
mod setting;
mod spectrum;
mod spoken;
mod surface;
mod swing;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use lipsync_tools::{media::Frames, picture::Picture};

use clip::{Clip, person, stem};
use measure::Measured;
use people::Person;
use report::Tables;
use setting::Setting;

/// GRID speakers that `training/` keeps from renderer and judge.
const HELD_OUT: [&str; 4] = ["s31", "x12", "s2", "s32"];
const VIDEOS: [&str; 5] = ["mkv", "mp4", "mov", "mpg", "webm"];

/// Measures the mouths on people that the renderer has never seen.
#[derive(Parser)]
#[command(name = "lipsync-eval")]
struct Arguments {
    /// A folder of clips of one speaking face each
    #[arg(long)]
    clips: PathBuf,
    /// As the property of lipsync; by default the built-in one
    #[arg(long)]
    model: Option<PathBuf>,
    /// A painting
    #[arg(long)]
    portrait: Option<PathBuf>,
    /// A folder that training/languages.py has made
    #[arg(long)]
    spoken: Option<PathBuf>,
    /// A folder for a page with plots and pictures
    #[arg(long)]
    report: Option<PathBuf>,
}

/// A clip to measure.
struct Job {
    path: PathBuf,
    person: String,
    /// For the first clip of a person: a clip of another person, if there is one.
    first: Option<Option<PathBuf>>,
}

fn main() -> ExitCode {
    lipsync_tools::finish("eval", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    gst::init()?;
    let voices = arguments.spoken.as_deref();
    let setting = Setting {
        model: arguments.model.clone(),
        portrait: arguments.portrait.as_deref().map(still).transpose()?,
        spoken: voices.map_or(Ok(vec![]), spoken::load)?,
    };

    let jobs = jobs(clips_in(&arguments.clips)?);
    println!("{} clips", jobs.len());
    let people = measure(&jobs, &setting)?;
    let tables = Tables::of(&people);
    print!("\n{}", tables.text());
    if let Some(folder) = &arguments.report {
        let page = report::write(&people, &tables, folder)?;
        println!("\nwrote {}", page.display());
    }
    Ok(())
}

fn still(path: &Path) -> Result<Picture> {
    let first = Frames::open(path)?.next();
    first.with_context(|| format!("no picture in {}", path.display()))?
}

/// Clips of a person together, people in the order of their names.
fn jobs(clips: Vec<PathBuf>) -> Vec<Job> {
    let jobs = clips.into_iter().map(|path| Job {
        person: person(&path),
        path,
        first: None,
    });
    let mut jobs: Vec<Job> = jobs.collect();
    jobs.sort_by(|a, b| (&a.person, &a.path).cmp(&(&b.person, &b.path)));
    let is_first = |&index: &usize| index == 0 || jobs[index - 1].person != jobs[index].person;
    let firsts: Vec<usize> = (0..jobs.len()).filter(is_first).collect();
    for (turn, &index) in firsts.iter().enumerate() {
        let other = firsts[(turn + 1) % firsts.len()];
        jobs[index].first = Some((other != index).then(|| jobs[other].path.clone()));
    }
    jobs
}

/// All clips, as many at a time as there are CPUs; the cost after that, one at a time.
fn measure(jobs: &[Job], setting: &Setting) -> Result<Vec<Person>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut measured = Vec::new();
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(job) = jobs.get(index)
        {
            let clip = measure_clip(job, setting);
            let clip = clip.with_context(|| format!("cannot measure {}", job.path.display()));
            if let Ok(clip) = &clip {
                println!("  {:<12} {}", stem(&job.path), clip.summary);
            }
            measured.push((index, clip));
        }
        measured
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut measured: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<_>| worker.join();
        let joined = workers.into_iter().map(join);
        joined
            .flat_map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    measured.sort_by_key(|(index, _)| *index);

    let mut people: Vec<Person> = Vec::new();
    for (job, (_, clip)) in jobs.iter().zip(measured) {
        let mut clip: Measured = clip?;
        if job.first.is_some() {
            let cost = measure::cost(&Clip::load(&job.path)?, setting)?;
            let line = "cost, both networks, one core, ms a frame";
            clip.figures.put(line, cost);
            people.push(Person {
                name: job.person.clone(),
                clips: Vec::new(),
            });
        }
        let person = people.last_mut().context("a clip of nobody")?;
        person.clips.push((stem(&job.path), clip));
    }
    Ok(people)
}

fn measure_clip(job: &Job, setting: &Setting) -> Result<Measured> {
    let clip = Clip::load(&job.path)?;
    let mut measured = measure::measure(&clip, setting)?;
    if let Some(other) = &job.first {
        let other = other.as_deref().map(Clip::load).transpose()?;
        hard_cases::measure(&clip, other.as_ref(), setting, &mut measured)?;
    }
    Ok(measured)
}

/// The clips of the speakers held out; every video, in a folder that has none of them.
fn clips_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut videos: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let end = path.extension().and_then(|end| end.to_str());
            end.is_some_and(|end| VIDEOS.contains(&end))
        })
        .collect();
    videos.sort();
    if videos.is_empty() {
        let (folder, names) = (folder.display(), HELD_OUT.map(|name| format!("{name}*")));
        let names = names.join(", ");
        bail!(
            "no videos in {folder}: expected are {names} of the GRID corpus, or any clips of one speaking face"
        );
    }
    let is_held_out = |path: &PathBuf| HELD_OUT.contains(&person(path).as_str());
    if videos.iter().any(is_held_out) {
        videos.retain(is_held_out);
    }
    Ok(videos)
}
