//! The demo's media, which the repository carries: see `media/NOTICE`.

use std::path::PathBuf;

use super::root;

pub const DEFAULT_PICTURE: &str = "young-woman-in-mauve.jpg";
pub const DEFAULT_SPEECH: &str = "speech.wav";

/// Where a file of the media lies.
pub fn media(name: &str) -> PathBuf {
    root().join("media").join(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::setup::pinned::sha256_of;

    /// What the repository may carry.
    const MOST_BYTES: u64 = 1_000_000;

    #[test]
    fn every_file_is_noted_with_its_hash() {
        let notice = fs::read_to_string(media("NOTICE")).unwrap();
        let hashes: Vec<(&str, &str)> = notice
            .lines()
            .filter_map(|line| line.trim().split_once("  sha256 "))
            .map(|(name, hash)| (name.trim(), hash))
            .collect();
        let mut bytes = 0;
        for entry in fs::read_dir(root().join("media")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name == "NOTICE" {
                continue;
            }
            let noted = hashes.iter().find(|(noted, _)| *noted == name);
            let (_, hash) = noted.unwrap_or_else(|| panic!("{name} is not in media/NOTICE"));
            assert_eq!(sha256_of(&entry.path()).unwrap(), *hash, "{name}");
            bytes += entry.metadata().unwrap().len();
        }
        assert!(hashes.iter().all(|(name, _)| media(name).is_file()));
        assert!(hashes.iter().any(|(name, _)| *name == DEFAULT_PICTURE));
        assert!(hashes.iter().any(|(name, _)| *name == DEFAULT_SPEECH));
        assert!(bytes < MOST_BYTES, "{bytes} bytes");
    }
}
