//! `lipsync-demo`: runs a gst-launch-1.0 line through `lipsync`, then looks at the file that came
//! out. Started by `cargo xtask demo`, which gives it its files.

mod launch;
mod measure;
mod report;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use lipsync_tools::{arguments::Arguments, media, sheet};

use launch::{Job, Source};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::read(&["--video", "--audio", "--speech", "--out"])?;
    gst::init()?;
    let job = job(&arguments)?;
    if let Some(folder) = job.out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }

    println!();
    if let Ok(folder) = std::env::var("GST_PLUGIN_PATH") {
        println!("export GST_PLUGIN_PATH={}", launch::quoted(&folder));
    }
    println!("{}\n", job.line());
    let played = job.run()?;
    println!("wrote {}", job.out.display());

    let watched = measure::watch(&job.out)?;
    let offset = watched.offset(&media::sound(&job.out)?);
    let columns = measure::columns(&job.video, &job.out, &watched)?;
    let sheet_path = job.out.with_file_name("contact-sheet.png");
    sheet::write(&sheet::contact_sheet(&columns)?, &sheet_path)?;
    println!("wrote {}\n", sheet_path.display());

    print!("{}", report::table(&played, offset));
    Ok(())
}

/// What to make of the files given.
fn job(arguments: &Arguments) -> Result<Job> {
    let video = arguments.required_path("--video")?;
    let contents = media::contents(&video)?;
    let Some(found) = contents.video else {
        bail!("{} has no picture", video.display());
    };
    let sound = match arguments.path("--audio") {
        Some(file) => Source::File(file),
        None if contents.sound => Source::OwnSound,
        None => {
            let speech = arguments.required_path("--speech")?;
            if !speech.is_file() {
                bail!(
                    "{} has no sound, and the default speech is missing: give some with --audio",
                    video.display()
                );
            }
            Source::File(speech)
        }
    };
    let frames = match &sound {
        Source::File(file) if found.still => Some(frames_for(file)?),
        _ => None,
    };
    let out = arguments
        .path("--out")
        .unwrap_or_else(|| PathBuf::from("demo.mp4"));
    Ok(Job {
        video,
        sound,
        frames,
        width: found.width,
        height: found.height,
        out,
    })
}

/// Frames of a still picture that last as long as the sound.
fn frames_for(sound: &std::path::Path) -> Result<usize> {
    let samples = media::sound(sound)?.len();
    Ok((samples * launch::STILL_RATE).div_ceil(media::SOUND_RATE as usize))
}
