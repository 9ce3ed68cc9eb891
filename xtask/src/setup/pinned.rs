//! Files that are known by their sha256: checking them, fetching them from package managers,
//! putting them in place whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process;

/// A file that setup wants to have.
pub struct Pinned {
    pub name: &'static str,
    pub sha256: &'static str,
}

impl Pinned {
    /// Whether `folder` holds the file, whole.
    pub fn is_in(&self, folder: &Path) -> bool {
        sha256_of(&folder.join(self.name)).is_ok_and(|found| found == self.sha256)
    }

    /// Copies `from` into `folder` after checking it. An interrupted copy leaves nothing behind
    /// that a later run would take for the file.
    pub fn install(&self, from: &Path, folder: &Path) -> Result<()> {
        let found = sha256_of(from).with_context(|| format!("cannot read {}", from.display()))?;
        if found != self.sha256 {
            bail!(
                "{} is not the file that was expected.\n  sha256 found:    {found}\n  sha256 expected: {}\n\
                 Nothing was installed. If the package has a new version, the pin in xtask/src/setup/ must be renewed",
                from.display(),
                self.sha256
            );
        }
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let unfinished = folder.join(format!(".{}.part", self.name));
        let target = folder.join(self.name);
        fs::copy(from, &unfinished)
            .and_then(|_| fs::rename(&unfinished, &target))
            .with_context(|| format!("cannot write {}", target.display()))
    }
}

pub fn sha256_of(path: &Path) -> io::Result<String> {
    Ok(Sha256::digest(fs::read(path)?)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Creates the folder for downloads, empty of what an interrupted run left.
pub fn fresh_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Downloads one wheel with pip, always the one for CPython 3.11, whatever Python runs pip: only
/// files inside it are used. Returns its path.
pub fn wheel(requirement: &str, folder: &Path) -> Result<PathBuf> {
    let machine = std::env::consts::ARCH;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args(["--implementation", "cp", "--python-version", "311"])
        .args(["--abi", "cp311", "--disable-pip-version-check"]);
    for tag in [
        "manylinux_2_35",
        "manylinux_2_28",
        "manylinux_2_27",
        "manylinux_2_24",
        "manylinux_2_17",
        "manylinux2014",
    ] {
        pip.arg("--platform").arg(format!("{tag}_{machine}"));
    }
    pip.arg("--dest").arg(folder).arg(requirement);
    process::run(&mut pip)
        .with_context(|| format!("pip could not download {requirement}; what it said is above"))?;
    fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|end| end == "whl"))
        .with_context(|| format!("pip left no wheel in {}", folder.display()))
}

/// Takes one member out of a wheel, which is a ZIP archive.
pub fn unzip(archive: &Path, member: &str, folder: &Path) -> Result<PathBuf> {
    const EXTRACT: &str =
        "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])";
    process::run(
        Command::new("python3")
            .args(["-c", EXTRACT])
            .arg(archive)
            .arg(member)
            .arg(folder),
    )?;
    Ok(folder.join(member))
}

/// Takes members out of a wheel, without their folders.
pub fn unzip_flat(archive: &Path, members: &[String], folder: &Path) -> Result<()> {
    const EXTRACT: &str = "\
import os, shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for member in sys.argv[3:]:
        target = os.path.join(sys.argv[2], os.path.basename(member))
        with archive.open(member) as source, open(target, 'wb') as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
";
    process::run(
        Command::new("python3")
            .args(["-c", EXTRACT])
            .arg(archive)
            .arg(folder)
            .args(members),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Pinned = Pinned {
        name: "empty",
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    };

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fresh_folder(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_installed_only_if_it_is_the_pinned_one() {
        let folder = scratch("install");
        let (right, wrong) = (folder.join("right"), folder.join("wrong"));
        fs::write(&right, b"").unwrap();
        fs::write(&wrong, b"something else").unwrap();
        let target = folder.join("target");

        let refused = EMPTY.install(&wrong, &target).unwrap_err();
        assert!(refused.to_string().contains(EMPTY.sha256));
        assert!(!target.exists());

        EMPTY.install(&right, &target).unwrap();
        assert!(EMPTY.is_in(&target));
        fs::write(target.join(EMPTY.name), b"truncated or changed").unwrap();
        assert!(!EMPTY.is_in(&target));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_missing_file_is_not_there() {
        assert!(!EMPTY.is_in(Path::new("no/such/folder")));
    }
}
