//! Files as they were when they were read: tells whether one has changed since.
//!
//! Must not know what is in them.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Vec<(PathBuf, Stamp)>);

/// What differs between two contents of a file: device, number of the file there, size, and in
/// nanoseconds when its contents and when anything about it last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, u64, [(i64, i64); 2]);

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self(
            file.dev(),
            file.ino(),
            file.len(),
            [
                (file.mtime(), file.mtime_nsec()),
                (file.ctime(), file.ctime_nsec()),
            ],
        )
    }
}

impl Snapshot {
    /// Adds a file that was found under `path` and was so before it was read.
    pub fn add(&mut self, path: &Path, file: &Metadata) {
        self.0.push((path.to_path_buf(), Stamp::of(file)));
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether under any of the paths there is another file now, another content, or nothing.
    pub fn has_changed(&self) -> bool {
        let is_as_before = |(path, stamp): &(PathBuf, Stamp)| {
            fs::metadata(path).is_ok_and(|file| Stamp::of(&file) == *stamp)
        };
        !self.0.iter().all(is_as_before)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn another_content_another_file_another_link_and_nothing_are_changes() {
        let folder = std::env::temp_dir().join(format!("lipsync-snapshot-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let [file, other, link] = ["file", "other", "link"].map(|name| folder.join(name));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "one").unwrap();
        symlink(&file, &link).unwrap();
        let taken = |path: &Path| {
            let mut snapshot = Snapshot::default();
            snapshot.add(path, &fs::metadata(path).unwrap());
            assert!(!snapshot.has_changed());
            snapshot
        };

        let before = taken(&link);
        // Later than the file system's clock can tell.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&file, "two").unwrap();
        assert!(before.has_changed());

        let before = taken(&link);
        fs::remove_file(&link).unwrap();
        assert!(before.has_changed());
        symlink(&other, &link).unwrap();
        assert!(before.has_changed());

        let mut both = taken(&file);
        both.extend(taken(&link));
        fs::rename(&other, &file).unwrap();
        assert!(both.has_changed());
        assert!(!Snapshot::default().has_changed());
        fs::remove_dir_all(folder).unwrap();
    }
}
