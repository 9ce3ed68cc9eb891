//! What is packed: the repository's commit, which gives packages their version and their time.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, setup};

pub struct Commit {
    /// Since 1970, when it was committed; all files of a package have that time.
    pub seconds: u64,
    /// Of packages, such as `0.1.0+git20261130.71feab3a12`, or `0.1.0` where it has that tag.
    pub version: String,
    /// Whether files differ from it.
    pub is_changed: bool,
}

impl Commit {
    /// # Errors
    /// Outside a git repository.
    pub fn of_repository() -> Result<Self> {
        let git = |words: &[&str]| {
            process::output_of(Command::new("git").current_dir(setup::root()).args(words))
        };
        let described = git(&["log", "-1", "--format=%ct %cd %H", "--date=format:%Y%m%d"])
            .context("git shows no commit here, and packages are made from commits")?;
        let tags = git(&["tag", "--points-at", "HEAD"]).unwrap_or_default();
        let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
        let is_changed = !changes.unwrap_or_default().is_empty();
        Self::read(&described, &tags, is_changed).context("git's answer cannot be read")
    }

    fn read(described: &str, tags: &str, is_changed: bool) -> Option<Self> {
        let release = env!("CARGO_PKG_VERSION");
        let [seconds, date, hash] = described.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_release = tags
            .lines()
            .any(|tag| tag.strip_prefix('v') == Some(release));
        let mut version = match is_release {
            true => release.to_owned(),
            false => format!("{release}+git{date}.{}", hash.get(..10)?),
        };
        if is_changed {
            version.push_str("+changed");
        }
        Some(Self {
            seconds: seconds.parse().ok()?,
            version,
            is_changed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: &str = "1796067647 20261130 71feab3a1234567890\n";

    #[test]
    fn a_version_names_its_commit_unless_that_is_a_release() {
        let version = |tags, is_changed| Commit::read(DESCRIBED, tags, is_changed).unwrap().version;
        let release = env!("CARGO_PKG_VERSION");
        assert_eq!(
            version("", false),
            format!("{release}+git20261130.71feab3a12")
        );
        assert_eq!(
            version("other\n", true),
            format!("{release}+git20261130.71feab3a12+changed")
        );
        assert_eq!(version(&format!("v{release}\n"), false), release);
        assert_eq!(
            Commit::read(DESCRIBED, "", false).unwrap().seconds,
            1_796_067_647
        );
        assert!(Commit::read("nonsense", "", false).is_none());
    }
}
