//! `lipsync-eval`: how well the mouths match, measured on people that the model has never seen.
//! Started by `cargo xtask eval`.
//!
//! Every figure is taken from the frames that come out of the real element; the plugin's face
//! mesh looks at them as it looks at the real video. The input's own mouth never helps: it is
//! frozen, or says other words than the sound.

mod clip;
mod extra;
mod figures;
mod follow;
mod languages;
mod lines;
mod people;
mod random;
mod report;
mod sounds;
mod spectrum;
mod strip;
mod surface;
mod table;
mod turn;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use lipsync_tools::{arguments::Arguments, media::Frames, picture::Picture};

use clip::Clip;
use figures::Figures;
use languages::Spoken;
use people::Person;

/// GRID speakers that `training/` keeps out of training.
const HELD_OUT: [&str; 4] = ["s31", "x12", "x17", "x19"];
/// Clips whose names do not tell that they show a person that another shows (seen by eye, see
/// `training/prepare.py`).
const SAME_PERSON: [(&str, &str); 1] = [("x21", "x17")];
const VIDEOS: [&str; 5] = ["mkv", "mp4", "mov", "mpg", "webm"];

/// What all clips are measured with.
pub struct Setting {
    pub model: Option<PathBuf>,
    /// A painting.
    pub portrait: Option<Picture>,
    /// Other languages.
    pub spoken: Vec<Spoken>,
}

/// A clip to measure.
struct Job {
    path: PathBuf,
    person: String,
    /// For the first clip of a person: a clip of another person, if there is one.
    first: Option<Option<PathBuf>>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eval: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::read(&["--clips", "--model", "--portrait", "--spoken", "--report"])?;
    let folder = arguments.required_path("--clips")?;
    gst::init()?;
    let portrait = arguments.path("--portrait");
    let spoken = arguments.path("--spoken");
    let setting = Setting {
        model: arguments.path("--model"),
        portrait: portrait.as_deref().map(still).transpose()?,
        spoken: spoken.as_deref().map_or(Ok(vec![]), languages::load)?,
    };

    let jobs = jobs(clips_in(&folder)?);
    println!("{} clips of people not trained on", jobs.len());
    let people = measure(&jobs, &setting)?;
    print!("\n{}", table::print(&people));
    let languages = table::languages(&people);
    if !languages.is_empty() {
        print!("\n{}", table::print_languages(&languages));
    }
    if let Some(folder) = arguments.path("--report") {
        let page = report::write(&people, &languages, &folder)?;
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
    let mut jobs: Vec<Job> = clips
        .into_iter()
        .map(|path| Job {
            person: person(&path),
            path,
            first: None,
        })
        .collect();
    jobs.sort_by(|a, b| (&a.person, &a.path).cmp(&(&b.person, &b.path)));
    let firsts: Vec<usize> = (0..jobs.len())
        .filter(|&index| index == 0 || jobs[index - 1].person != jobs[index].person)
        .collect();
    for (turn, &index) in firsts.iter().enumerate() {
        let other = firsts[(turn + 1) % firsts.len()];
        jobs[index].first = Some((other != index).then(|| jobs[other].path.clone()));
    }
    jobs
}

/// All clips, as many at a time as there are processors; the cost after that, one at a time.
fn measure(jobs: &[Job], setting: &Setting) -> Result<Vec<Person>> {
    let next = AtomicUsize::new(0);
    let measured = Mutex::new(Vec::new());
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let figures = measure_clip(job, setting)
                .with_context(|| format!("cannot measure {}", job.path.display()));
            if let Ok(figures) = &figures {
                println!("  {:<12} {}", stem(&job.path), figures.line());
            }
            let mut measured = measured.lock().unwrap_or_else(PoisonError::into_inner);
            measured.push((&job.path, figures));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));

    let mut measured = measured
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let mut people: Vec<Person> = Vec::new();
    for job in jobs {
        let index = measured.iter().position(|(path, _)| **path == job.path);
        let (_, figures) = measured.swap_remove(index.context("a clip was not measured")?);
        let mut figures = figures?;
        if job.first.is_some() {
            figures.networks = Some(figures::cost(&Clip::load(&job.path)?, setting)?);
            people.push(Person {
                name: job.person.clone(),
                clips: Vec::new(),
            });
        }
        let person = people.last_mut().context("a clip of nobody")?;
        person.clips.push((stem(&job.path), figures));
    }
    Ok(people)
}

fn measure_clip(job: &Job, setting: &Setting) -> Result<Figures> {
    let clip = Clip::load(&job.path)?;
    let mut figures = figures::measure(&clip, setting)?;
    if let Some(other) = &job.first {
        let other = other.as_deref().map(Clip::load).transpose()?;
        figures.extra = Some(extra::measure(&clip, other.as_ref(), setting)?);
    }
    Ok(figures)
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
        bail!(
            "no videos in {}: wanted are {} of the GRID corpus, or any clips of one speaking face",
            folder.display(),
            HELD_OUT.map(|name| format!("{name}*")).join(", ")
        );
    }
    let held_out: Vec<PathBuf> = videos
        .iter()
        .filter(|path| HELD_OUT.contains(&person(path).as_str()))
        .cloned()
        .collect();
    Ok(if held_out.is_empty() {
        videos
    } else {
        held_out
    })
}

pub fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Clips are named after their speaker: `s31_bbaf2n.mkv`, `x12.mkv`.
fn person(path: &Path) -> String {
    let stem = stem(path);
    let name = stem.split('_').next().unwrap_or_default();
    let same = SAME_PERSON.iter().find(|(clip, _)| *clip == name);
    same.map_or(name, |(_, person)| person).to_owned()
}
