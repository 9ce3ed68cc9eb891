//! `lipsync-eval`: how well the mouths match, measured on people that the model has never seen.
//! Started by `cargo xtask eval`.
//!
//! Every figure is taken from the frames that come out of the real element; the plugin's face
//! mesh looks at them as it looks at the real video. The input's own mouth never helps: it is
//! frozen, or says other words than the sound.

mod clip;
mod figures;
mod people;
mod surface;
mod table;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use lipsync_tools::arguments::Arguments;

use figures::Figures;

/// GRID speakers that `training/` keeps out of training.
const HELD_OUT: [&str; 4] = ["s31", "x12", "x17", "x19"];
const VIDEOS: [&str; 5] = ["mkv", "mp4", "mov", "mpg", "webm"];

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
    let arguments = Arguments::read(&["--clips", "--model"])?;
    let folder = arguments.required_path("--clips")?;
    let model = arguments.path("--model");
    gst::init()?;

    let clips = clips_in(&folder)?;
    println!("{} clips of people not trained on", clips.len());
    let mut people: Vec<(String, Vec<Figures>)> = Vec::new();
    for path in &clips {
        let measured = clip::Clip::load(path)
            .and_then(|clip| figures::measure(&clip, model.as_deref()))
            .with_context(|| format!("cannot measure {}", path.display()))?;
        println!("  {:<12} {}", stem(path), measured.line());
        let person = person(path);
        match people.last_mut() {
            Some((name, figures)) if *name == person => figures.push(measured),
            _ => people.push((person, vec![measured])),
        }
    }
    print!("\n{}\n{}", table::print(&people), people::print(&people));
    Ok(())
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

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Clips are named after their speaker: `s31_bbaf2n.mkv`, `x12.mkv`.
fn person(path: &Path) -> String {
    let stem = stem(path);
    stem.split('_').next().unwrap_or_default().to_owned()
}
