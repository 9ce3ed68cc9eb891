//! One job from its arguments to the finished file: read, planned, run, checked, put in place.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;

use crate::{
    arguments::Arguments,
    check,
    container::Container,
    exit::{Exit, Failure, Reason},
    input::{Kind, Stream},
    note,
    output::{self, Output},
    plan::{self, Inputs, Target},
    playing,
    report::{self, Report},
};

/// The property with which a clip is read twice.
const MOUTH_MEMORY: &str = "mouth-memory";

/// # Errors
/// Whatever keeps the result from being written.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let video = arguments
        .video
        .as_deref()
        .context("no video is named")
        .exit(Exit::Usage)?;
    start_gstreamer().exit(Exit::Installation)?;
    check_models(&arguments.model).exit(Exit::Input)?;
    match &arguments.output {
        Some(path) => write(arguments, video, path),
        None => preview(arguments, video),
    }
}

/// # Errors
/// For a model that is not there, before anything takes time.
pub fn check_models<'a>(models: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    for model in models {
        let found = std::fs::metadata(model);
        found.with_context(|| format!("cannot read the model {}", model.display()))?;
    }
    Ok(())
}

fn preview(arguments: &Arguments, video: &Path) -> Result<(), Failure> {
    let inputs = Inputs::read(video, arguments.audio.as_deref())?;
    let plan = plan::make(arguments, &inputs, &Target::Window)?;
    plan.notes.iter().for_each(|text| note(text));
    playing::play(arguments, &plan, &[], &[])?;
    Ok(())
}

/// What the video shows of its people's mouths, in a file that goes with this.
struct Mouths(PathBuf);

impl Mouths {
    /// Reads the video for it, where it is to be read twice.
    fn learn(
        arguments: &Arguments,
        inputs: &Inputs,
        beside: &Path,
    ) -> Result<Option<Self>, Failure> {
        let usual = if arguments.model.is_none() { 2 } else { 1 };
        let video = inputs.video.of(Kind::Video).next();
        if arguments.passes.unwrap_or(usual) < 2
            || video.is_none_or(Stream::is_still)
            || arguments.set.iter().any(|(name, _)| name == MOUTH_MEMORY)
        {
            return Ok(None);
        }
        let plan = plan::make(arguments, inputs, &Target::Nowhere)?;
        let mouths = Self(beside.with_extension("mouths"));
        playing::play(arguments, &plan, &[], &mouths.properties("learn"))?;
        Ok(Some(mouths))
    }

    fn properties(&self, memory: &str) -> [(&'static str, String); 2] {
        [
            (MOUTH_MEMORY, memory.into()),
            ("mouth-memory-file", self.0.display().to_string()),
        ]
    }
}

impl Drop for Mouths {
    fn drop(&mut self) {
        // There is none where learning failed.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write(arguments: &Arguments, video: &Path, path: &Path) -> Result<(), Failure> {
    let container = Container::of(path).exit(Exit::Usage)?;
    if let Some(path) = &arguments.report {
        report::Form::of(path).exit(Exit::Usage)?;
    }
    check_names(arguments, video, path).exit(Exit::Usage)?;
    let compare = arguments.compare.as_deref().map(Container::of);
    if let Some(compared) = compare.transpose().exit(Exit::Usage)?
        && compared.extension() != container.extension()
    {
        return Err(anyhow!(
            "the comparison is .{} and the output .{}; expected the same extension",
            compared.extension(),
            container.extension()
        ))
        .exit(Exit::Usage);
    }
    let beside = |path: &Option<_>| {
        path.as_deref()
            .map(|path| Output::create(path, arguments.force))
            .transpose()
    };
    // Before anything takes time.
    let output = Output::create(path, arguments.force).exit(Exit::Output)?;
    let compared = beside(&arguments.compare).exit(Exit::Output)?;
    let page = beside(&arguments.report).exit(Exit::Output)?;

    let inputs = Inputs::read(video, arguments.audio.as_deref())?;
    let plan = plan::make(arguments, &inputs, &Target::File(container))?;
    plan.notes.iter().for_each(|text| note(text));
    let files: Vec<&Path> = [Some(&output), compared.as_ref()]
        .into_iter()
        .flatten()
        .map(Output::part)
        .collect();
    let begun = Instant::now();
    let mouths = Mouths::learn(arguments, &inputs, output.part())?;
    let properties = mouths.as_ref().map(|mouths| mouths.properties("clip"));
    let properties = properties.as_ref().map_or(&[][..], |properties| properties);
    let mut played = playing::play(arguments, &plan, &files, properties)?;
    played.wall = begun.elapsed();
    let written = check::whole(&played, output.part()).exit(Exit::Output)?;
    // The video stays, whatever fails of what only describes it.
    let losses = check::losses(&inputs.video, &plan, &played, &written)
        .unwrap_or_else(|error| vec![format!("what it lacks is not known: {error:#}")]);
    for file in [Some(output), compared].into_iter().flatten() {
        file.finish().exit(Exit::Output)?;
    }
    let mut notes = plan.notes.clone();
    for text in losses.into_iter().chain(played.warnings.clone()) {
        note(&text);
        notes.push(text);
    }
    if let (Some(page), Some(to)) = (page, &arguments.report) {
        Report::new(arguments, &inputs, &played, path, &notes)
            .and_then(|report| Ok(std::fs::write(page.part(), report.text(to)?)?))
            .and_then(|()| page.finish())
            .context("the video is written, the report is not")
            .exit(Exit::Output)?;
    }
    Ok(())
}

/// Nothing is written over what is read, or twice.
fn check_names(arguments: &Arguments, video: &Path, output: &Path) -> Result<()> {
    let inputs = [Some(video), arguments.audio.as_deref()];
    let outputs = [
        Some(output),
        arguments.compare.as_deref(),
        arguments.report.as_deref(),
    ];
    let outputs: Vec<&Path> = outputs.into_iter().flatten().collect();
    for (index, path) in outputs.iter().enumerate() {
        let is_it = |other: &&Path| output::is_same(path, other);
        if inputs.into_iter().flatten().any(|input| is_it(&input)) {
            bail!("{} is one of the files to read", path.display());
        }
        if outputs[..index].iter().any(is_it) {
            bail!("{} is to be written twice", path.display());
        }
    }
    Ok(())
}

/// GStreamer with the plugin: where it is installed, or beside this program, as cargo puts it.
pub fn start_gstreamer() -> Result<()> {
    gst::init().context("GStreamer does not start")?;
    // As newer versions have it: without it JPEG files come in pieces, and nobody reads which way up they are.
    if let Some(parser) = gst::ElementFactory::find("jpegparse") {
        parser.set_rank(gst::Rank::PRIMARY);
    }
    let is_there = || gst::ElementFactory::find("lipsyncbin").is_some();
    if !is_there()
        && let Ok(program) = std::env::current_exe()
        && let Some(folder) = program.parent()
    {
        let plugin = folder.join("libgstlipsync.so");
        if plugin.exists()
            && let Ok(plugin) = gst::Plugin::load_file(&plugin)
        {
            gst::Registry::get().add_plugin(&plugin)?;
        }
    }
    if !is_there() {
        bail!(
            "GStreamer does not find the plugin lipsync: install it, or name its folder with GST_PLUGIN_PATH"
        );
    }
    Ok(())
}
