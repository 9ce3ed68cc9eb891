//! Files appear whole or not at all: they are written under another name in the same folder, and renamed at the end.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// A file that is being written, and removed again unless [`Self::finish`] is called.
pub struct Output {
    path: PathBuf,
    part: PathBuf,
    overwrite: bool,
}

impl Output {
    /// Creates the unfinished file; its name tells this attempt from others, on other machines too.
    ///
    /// # Errors
    /// Where the file is there already, or its folder cannot be written to.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        let name = path.display();
        if path.is_dir() {
            bail!("{name} is a folder, expected the name of a file to write");
        }
        if !overwrite && path.symlink_metadata().is_ok() {
            bail!("{name} exists already; --force overwrites it");
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            bail!("there is no folder {}", folder.display());
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let attempt = format!("{}-{}", host.trim(), std::process::id());
        let new = (0..).map(|number| folder.join(format!(".lipsync-{attempt}-{number}.part")));
        for part in new {
            match File::create_new(&part) {
                Ok(_) => {
                    let path = path.to_owned();
                    return Ok(Self {
                        path,
                        part,
                        overwrite,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("cannot write in the folder {}", folder.display())
                    });
                }
            }
        }
        bail!(
            "no name is left for an unfinished file in {}",
            folder.display()
        )
    }

    /// Where to write meanwhile.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Gives the file its name. It is on the disk then.
    ///
    /// # Errors
    /// Where somebody else has written that file meanwhile, which is left as it is.
    pub fn finish(self) -> Result<()> {
        let (path, part) = (&self.path, &self.part);
        let cannot = || format!("cannot write {}", path.display());
        File::open(part)
            .and_then(|file| file.sync_all())
            .with_context(cannot)?;
        if self.overwrite {
            return fs::rename(part, path).with_context(cannot);
        }
        match fs::hard_link(part, path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!(
                    "{} exists by now: somebody else has written it",
                    path.display()
                )
            }
            // File systems without hard links.
            Err(_) => fs::rename(part, path).with_context(cannot),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Already gone where it was renamed.
        let _ = fs::remove_file(&self.part);
    }
}

/// Whether both names lead to one file, there already or not.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let [one, other] = [one, other].map(|path| {
        path.canonicalize().ok().or_else(|| {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        })
    });
    one.is_some() && one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("gst-lipsync-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = folder("whole");
        let path = folder.join("über alles.mp4");
        let output = Output::create(&path, false).unwrap();
        fs::write(output.part(), "half").unwrap();
        assert!(!path.exists());
        drop(output);
        assert!(names(&folder).is_empty());

        let output = Output::create(&path, false).unwrap();
        fs::write(output.part(), "whole").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(names(&folder), ["über alles.mp4"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn two_names_may_lead_to_one_file() {
        let folder = folder("names");
        let path = |name: &str| folder.join(name);
        fs::write(path("a.mp4"), "").unwrap();
        std::os::unix::fs::symlink("a.mp4", path("b.mp4")).unwrap();
        assert!(is_same(&path("a.mp4"), &path("b.mp4")));
        assert!(is_same(&path("new.mp4"), &path("./new.mp4")));
        assert!(!is_same(&path("new.mp4"), &path("newer.mp4")));
        assert!(!is_same(&path("none/new.mp4"), &path("none/new.mp4")));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn of_two_attempts_the_first_to_finish_stays() {
        let folder = folder("twice");
        let path = folder.join("a.mp4");
        let [one, two] = [(); 2].map(|()| Output::create(&path, false).unwrap());
        fs::write(one.part(), "one").unwrap();
        fs::write(two.part(), "two").unwrap();
        two.finish().unwrap();
        let error = one.finish().unwrap_err().to_string();
        assert!(error.contains("exists by now"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert!(Output::create(&path, false).is_err());
        let again = Output::create(&path, true).unwrap();
        again.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        fs::remove_dir_all(folder).unwrap();
    }
}
