//! The file in which `mouth-memory=learn` keeps what a stream has shown of mouths, and from which
//! `mouth-memory=clip` takes it.

use std::path::PathBuf;

use gst::subclass::prelude::*;

use crate::lipsync::{
    MouthMemory,
    imp::{CAT, Lipsync, lock},
    stream_state::Stream,
};

const MISSING: &str =
    "mouth-memory=learn writes the file that mouth-memory-file names: expected a path";

/// What is known of mouths before the stream begins. Fails where a person has to do something about
/// it.
pub fn read(imp: &Lipsync) -> Result<Option<Vec<u8>>, gst::ErrorMessage> {
    let settings = lock(&imp.settings).clone();
    match (settings.mouth_memory, settings.mouth_memory_file()) {
        (MouthMemory::Clip, Some(path)) => match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(err) => Err(gst::error_msg!(
                gst::ResourceError::OpenRead,
                (
                    "no mouths at `{}`: {err}. Expected what mouth-memory=learn has written",
                    path.display()
                )
            )),
        },
        (MouthMemory::Clip, None) => {
            gst::element_imp_warning!(
                imp,
                gst::LibraryError::Settings,
                ("mouth-memory=clip without mouth-memory-file remembers what the stream shows, as \
                     live does; expected the file that mouth-memory=learn has written")
            );
            Ok(None)
        }
        (MouthMemory::Learn, None) => {
            Err(gst::error_msg!(gst::LibraryError::Settings, ("{MISSING}")))
        }
        _ => Ok(None),
    }
}

/// Writes, at the end of a stream of which only mouths were to be learned, what it has shown of them.
pub fn write(imp: &Lipsync, stream: &mut Stream) -> Result<(), gst::FlowError> {
    let settings = lock(&imp.settings).clone();
    if settings.mouth_memory != MouthMemory::Learn {
        return Ok(());
    }
    let learned = stream
        .engine_mut()
        .and_then(|engine| engine.learned_mouths());
    let (Some(path), Some(bytes)) = (settings.mouth_memory_file(), learned) else {
        let message = "nothing was learned of mouths: expected mouth-memory-file, a model that \
                       remembers them, and frames";
        gst::element_imp_warning!(imp, gst::LibraryError::Settings, ("{message}"));
        return Ok(());
    };
    // Whole or not at all.
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let written = std::fs::write(&unfinished, &bytes);
    if let Err(err) = written.and_then(|()| std::fs::rename(&unfinished, &path)) {
        gst::element_imp_error!(
            imp,
            gst::ResourceError::Write,
            ("mouths cannot be kept in `{}`: {err}", path.display())
        );
        return Err(gst::FlowError::Error);
    }
    gst::info!(
        CAT,
        imp = imp,
        "Wrote {}: {} bytes of mouths",
        path.display(),
        bytes.len()
    );
    Ok(())
}
