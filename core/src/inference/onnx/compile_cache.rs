//! Where providers keep what they have compiled for one network, so that the next start is quick.
//!
//! Must not know what they keep. Whatever is wrong with an entry costs time, never a start.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use crate::{
    Error,
    inference::{
        model_file::Digest,
        onnx::runtime_log::{self, Level},
        options::{Options, Provider},
    },
};

/// The folder for one network: another model, library, provider, device or option has another one.
pub(super) fn entry(
    provider: Provider,
    options: &Options,
    version: &str,
    model: &Digest,
    shapes: &[(&str, &[usize])],
) -> Option<PathBuf> {
    let folder = options.cache_dir.as_ref()?;
    let mut hasher = DefaultHasher::new();
    (options.device_id, options.precision, shapes).hash(&mut hasher);
    options.batch.max(1).hash(&mut hasher);
    options.provider_options.hash(&mut hasher);
    Some(folder.join(format!(
        "{}-{version}-{}-{:016x}",
        provider.name(),
        &model.to_hex()[..16],
        hasher.finish()
    )))
}

/// Runs `build` with the entry's folder, made where it is missing; without one where that fails.
/// If `build` fails on an entry that was there before, the entry is thrown away and it is tried
/// once more.
pub(super) fn with<T>(
    entry: Option<&Path>,
    mut build: impl FnMut(Option<&Path>) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(folder) = entry else {
        return build(None);
    };
    let is_used = fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if let Err(error) = fs::create_dir_all(folder) {
        let folder = folder.display();
        runtime_log::say(
            Level::Warning,
            &format!("cache-dir is not used: {folder} cannot be made: {error}"),
        );
        return build(None);
    }
    match build(Some(folder)) {
        Err(error) if is_used => {
            let folder_name = folder.display();
            runtime_log::say(
                Level::Warning,
                &format!("{folder_name} is thrown away, as it may be why: {error}"),
            );
            // Where this fails, so will the second try, and its error tells more.
            let _ = fs::remove_dir_all(folder).and_then(|()| fs::create_dir_all(folder));
            build(Some(folder))
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for a provider that cannot read garbage.
    fn start(folder: Option<&Path>) -> Result<bool, Error> {
        let Some(folder) = folder else {
            return Ok(false);
        };
        let file = folder.join("engine");
        match fs::read(&file) {
            Ok(content) if content == b"engine" => Ok(true),
            Ok(_) => Err(Provider::TensorRt.unavailable("cannot deserialize")),
            Err(_) => {
                fs::write(&file, "engine").unwrap();
                Ok(false)
            }
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lipsync-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn an_entry_is_written_once_and_read_again() {
        let folder = folder("cache");
        assert!(!with(Some(&folder), start).unwrap());
        assert!(with(Some(&folder), start).unwrap());
        fs::write(folder.join("engine"), "garb").unwrap();
        assert!(!with(Some(&folder), start).unwrap());
        assert!(with(Some(&folder), start).unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_done_without() {
        let folder = Path::new("/dev/null/cache");
        assert!(!with(Some(folder), start).unwrap());
        assert!(!with(None, start).unwrap());
    }

    #[test]
    fn a_fault_that_is_not_the_entrys_is_told_at_once() {
        let folder = folder("fault");
        let mut tries = 0;
        let result: Result<(), _> = with(Some(&folder), |_| {
            tries += 1;
            Err(Provider::TensorRt.unavailable("no GPU"))
        });
        assert!(result.is_err());
        assert_eq!(tries, 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn all_that_changes_what_is_compiled_has_its_own_entry() {
        let options = Options {
            cache_dir: Some("/cache".into()),
            ..Options::default()
        };
        let model = Digest::of(b"model");
        let name = |provider, options: &Options, version, model: &Digest, shapes: &[_]| {
            entry(provider, options, version, model, shapes).unwrap()
        };
        let first = name(Provider::TensorRt, &options, "1.31", &model, &[]);
        assert!(first.starts_with("/cache"));
        let device = Options {
            device_id: 1,
            ..options.clone()
        };
        let batch = Options {
            batch: 4,
            ..options.clone()
        };
        let others = [
            name(Provider::TensorRt, &batch, "1.31", &model, &[]),
            name(Provider::OpenVino, &options, "1.31", &model, &[]),
            name(Provider::TensorRt, &options, "1.32", &model, &[]),
            name(Provider::TensorRt, &options, "1.31", &Digest::of(b"x"), &[]),
            name(Provider::TensorRt, &device, "1.31", &model, &[]),
            name(
                Provider::TensorRt,
                &options,
                "1.31",
                &model,
                &[("x", &[1, 2][..])],
            ),
        ];
        assert!(others.iter().all(|other| *other != first));
        assert!(entry(Provider::TensorRt, &Options::default(), "1.31", &model, &[]).is_none());
    }
}
