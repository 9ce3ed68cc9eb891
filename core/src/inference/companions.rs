//! Finds the files that belong to another one: beside it, and nowhere else.
//!
//! Model hubs keep files as links into a store of theirs, where names mean nothing. So companions
//! are looked for beside the name that was given, and may lie there or where that name's own link
//! leads. Must not know what the files are.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

/// The folders in which the companions of a file may lie.
#[derive(Debug)]
pub struct Beside {
    /// The folder of the name that was given, as it was given.
    given: PathBuf,
    /// Real folders: that one, and the one of the file itself where the name is a link.
    allowed: [PathBuf; 2],
}

/// A companion that is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Companion {
    /// Where it was looked for; may be a link.
    pub path: PathBuf,
    /// Where it lies.
    pub real: PathBuf,
}

/// Why a companion is not there.
#[derive(Debug)]
pub enum Miss {
    /// Where it lies, or where a link leads: `a path` or `a link that leads`.
    Outside(&'static str),
    Unreadable(io::Error),
}

impl Beside {
    /// # Errors
    /// Where `file` is not there or its folder cannot be read.
    pub fn new(file: &Path) -> io::Result<Self> {
        let given = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut real = file.canonicalize()?;
        real.pop();
        Ok(Self {
            allowed: [given.canonicalize()?, real],
            given: given.to_path_buf(),
        })
    }

    /// The companion `name`, a relative path: beside the name that was given or, where nothing is
    /// there, beside the file itself.
    ///
    /// # Errors
    /// [`Miss`].
    pub fn find(&self, name: &Path) -> Result<Companion, Miss> {
        if !is_below(name) {
            return Err(Miss::Outside("a path"));
        }
        let [_, beside_file] = &self.allowed;
        let found = [&self.given, beside_file].map(|folder| {
            let path = folder.join(name);
            path.canonicalize().map(|real| Companion { path, real })
        });
        let companion = match found {
            [Ok(companion), _] | [Err(_), Ok(companion)] => companion,
            // What is missing is missing beside the name that the user knows.
            [Err(error), Err(_)] => return Err(Miss::Unreadable(error)),
        };
        let is_allowed = |folder| companion.real.starts_with(folder);
        if self.allowed.iter().any(is_allowed) {
            return Ok(companion);
        }
        Err(Miss::Outside("a link that leads"))
    }
}

/// Whether a path names something in its folder or in a folder of it; links are not looked at.
fn is_below(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A folder with `secret` in it, and in it the folders `given` and `store`.
    fn folders(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lipsync-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for inner in ["given/below", "store"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        fs::write(folder.join("secret"), "secret").unwrap();
        folder.canonicalize().unwrap()
    }

    fn outside(beside: &Beside, name: &str) -> &'static str {
        match beside.find(Path::new(name)) {
            Err(Miss::Outside(how)) => how,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn companions_lie_in_the_folder_or_below() {
        let folder = folders("beside");
        let given = folder.join("given");
        for name in ["model", "data", "below/data"] {
            fs::write(given.join(name), name).unwrap();
        }
        symlink("../secret", given.join("link")).unwrap();
        symlink("data", given.join("inner")).unwrap();
        symlink("..", given.join("up")).unwrap();
        let beside = Beside::new(&given.join("model")).unwrap();
        for (name, real) in [
            ("data", "data"),
            ("./data", "data"),
            ("below/data", "below/data"),
            ("inner", "data"),
        ] {
            let found = beside.find(Path::new(name)).unwrap();
            assert_eq!(found.path, given.join(name));
            assert_eq!(found.real, given.join(real));
        }
        let absolute = folder.join("secret").display().to_string();
        for name in ["../secret", "below/../../secret", &absolute, ""] {
            assert_eq!(outside(&beside, name), "a path");
        }
        for name in ["link", "up/secret"] {
            assert_eq!(outside(&beside, name), "a link that leads");
        }
        let none = beside.find(Path::new("none"));
        assert!(matches!(none, Err(Miss::Unreadable(_))), "{none:?}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn links_may_lead_to_where_the_files_own_link_leads() {
        let folder = folders("store");
        let (given, store) = (folder.join("given"), folder.join("store"));
        for name in ["0a1b", "2c3d", "beside"] {
            fs::write(store.join(name), name).unwrap();
        }
        symlink("../store/0a1b", given.join("model")).unwrap();
        symlink("../store/2c3d", given.join("data")).unwrap();
        symlink("../secret", given.join("link")).unwrap();
        symlink("../secret", store.join("link-of-store")).unwrap();
        let beside = Beside::new(&given.join("model")).unwrap();
        let find = |name| beside.find(Path::new(name)).unwrap();
        assert_eq!(find("data").path, given.join("data"));
        assert_eq!(find("data").real, store.join("2c3d"));
        // A link to a single file that has its companions where it lies.
        assert_eq!(find("beside").real, store.join("beside"));
        for name in ["link", "link-of-store"] {
            assert_eq!(outside(&beside, name), "a link that leads");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
