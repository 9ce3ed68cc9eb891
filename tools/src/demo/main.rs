//! `lipsync-demo`: runs gst-launch-1.0 lines with `lipsync`, of a video one that learns what it shows
//! of mouths and one that draws them, then looks at the file that came out. Started by `cargo xtask demo`, which gives it its files.

mod launch;
mod measure;
mod plan;
mod report;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use lipsync_tools::{media, sheet};

use launch::Frames;
use plan::LongerAudio;

/// Makes a face speak and measures it.
#[derive(Parser)]
struct Arguments {
    /// Still picture or video of a face
    #[arg(long)]
    video: PathBuf,
    /// File with the speech [default: the video's own audio]
    #[arg(long)]
    audio: Option<PathBuf>,
    /// Which of its audio tracks, counted from 1
    #[arg(long)]
    audio_track: Option<usize>,
    /// What to do where the audio is longer than the video
    #[arg(long)]
    longer_audio: Option<LongerAudio>,
    /// Speech for a video that has none
    #[arg(long)]
    speech: PathBuf,
    /// File to write
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    lipsync_tools::finish("demo", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    gst::init()?;
    let job = plan::job(arguments)?;
    if let Some(folder) = job.out.parent().filter(|folder| !folder.is_dir()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        plan::note(&format!("created {}", folder.display()));
    }

    println!();
    if let Ok(folder) = std::env::var("GST_PLUGIN_PATH") {
        println!("export GST_PLUGIN_PATH={}", launch::quoted(&folder));
    }
    println!("{}\n", job.lines());
    let played = job.run()?;
    println!("wrote {}", job.out.display());

    let watched = measure::watch(&job.out)?;
    let offset = watched.offset(&media::speech(&job.out)?);
    let period = match job.frames {
        Frames::Looped(_, period) => Some(period),
        _ => None,
    };
    let columns = measure::columns(&job.video, period, &job.out, &watched)?;
    let sheet_path = sheet_path(&job.out);
    sheet::write(&columns, &sheet_path)?;
    println!("wrote {}\n", sheet_path.display());

    print!("{}", report::table(&played, offset));
    Ok(())
}

/// Beside the video and named after it.
fn sheet_path(out: &Path) -> PathBuf {
    let mut name = out.file_stem().unwrap_or_default().to_owned();
    name.push("-contact-sheet.png");
    out.with_file_name(name)
}
