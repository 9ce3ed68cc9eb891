//! What all clips are measured with.

use std::path::PathBuf;

use anyhow::{Result, bail};
use lipsync_tools::{
    drive::{Drive, Driven},
    picture::Picture,
    stats::Stats,
};

use crate::spoken::Spoken;

pub struct Setting {
    pub model: Option<PathBuf>,
    /// A painting.
    pub portrait: Option<Picture>,
    /// Other languages.
    pub spoken: Vec<Spoken>,
}

impl Setting {
    /// The frames as the element gives them back.
    pub fn drive(&self, frames: &[Picture], sound: &[f32]) -> Result<(Vec<Picture>, Stats)> {
        let mut properties = vec![("intra-threads", "1".to_owned())];
        let model = self.model.as_ref();
        properties.extend(model.map(|model| ("model", model.display().to_string())));
        let drive = Drive {
            frames,
            sound,
            properties: &properties,
        };
        let Driven {
            frames: output,
            stats,
        } = drive.run()?;
        if output.len() != frames.len() {
            bail!("{} frames became {}", frames.len(), output.len());
        }
        Ok((output, stats))
    }
}
