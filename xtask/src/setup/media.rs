//! Demo media, all in the public domain: paintings by Berthe Morisot, a LibriVox reading of Jane
//! Austen, NASA's portrait of Eileen Collins (for tests of tracking only).

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{
    pinned::{self, Pinned},
    report, system,
};
use crate::process;

pub const DEFAULT_PICTURE: &str = "young-woman-in-mauve.jpg";
pub const DEFAULT_SPEECH: &str = "speech.wav";

/// Files out of one Debian package. The package's version moves, the files do not.
struct Package {
    name: &'static str,
    folder: &'static str,
    files: &'static [Pinned],
}

const PACKAGES: [Package; 2] = [
    Package {
        name: "wordpress-theme-twentytwentyone",
        folder: "usr/share/wordpress/wp-content/themes/twentytwentyone/assets/images",
        files: &[
            Pinned {
                name: DEFAULT_PICTURE,
                sha256: "14a97212559694b078f618c79dfcb2b508519b18e11f5c38ea7dedb4c3efd4a8",
            },
            Pinned {
                name: "self-portrait-1885.jpg",
                sha256: "89e71a457ff2deb9c7fe9541febf4a5662b479fab316b7ea6e60fd86b672c4a2",
            },
        ],
    },
    Package {
        name: "pocketsphinx-testdata",
        folder: "usr/share/pocketsphinx/test/data/librivox",
        files: &[
            // "and mister john dashwood had then leisure to consider ..."
            Pinned {
                name: "sense_and_sensibility_01_austen_64kb-0870.wav",
                sha256: "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
            },
            // "he was not an ill disposed young man"
            Pinned {
                name: "sense_and_sensibility_01_austen_64kb-0880.wav",
                sha256: "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
            },
            // "unless to be rather cold hearted and rather selfish is to be ill disposed"
            Pinned {
                name: "sense_and_sensibility_01_austen_64kb-0890.wav",
                sha256: "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
            },
            Pinned {
                name: "sense_and_sensibility_01_austen_64kb-0920.wav",
                sha256: "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
            },
            Pinned {
                name: "sense_and_sensibility_01_austen_64kb-0930.wav",
                sha256: "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7",
            },
        ],
    },
];

/// How many of the recordings, in order, make the default speech: 15.4 s of one passage.
const SENTENCES: usize = 3;

const ASTRONAUT: Pinned = Pinned {
    name: "astronaut.png",
    sha256: "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
};

pub fn ensure(setup: &Path) -> Result<()> {
    let media = setup.join("media");
    let download = setup.join("download");
    for package in &PACKAGES {
        if !package.files.iter().all(|file| file.is_in(&media)) {
            package.fetch(&download, &media)?;
        }
    }
    if !ASTRONAUT.is_in(&media) {
        report("demo media", "downloading scikit-image with pip (14 MB)");
        pinned::fresh_folder(&download)?;
        let wheel = pinned::wheel("scikit-image==0.26.0", &download)?;
        let picture = pinned::unzip(&wheel, "skimage/data/astronaut.png", &download)?;
        ASTRONAUT.install(&picture, &media)?;
    }
    if download.exists() {
        fs::remove_dir_all(&download).context("cannot remove the download")?;
    }
    write_default_speech(&media)?;
    report("demo media", "present in .setup/media");
    Ok(())
}

impl Package {
    fn fetch(&self, download: &Path, media: &Path) -> Result<()> {
        if !system::is_debian() || !process::is_installed("dpkg-deb") {
            bail!(
                "the demo media come out of Debian's package {}, which this system does not offer. \
                 `cargo xtask demo --video F --audio F` works with files of your own. Or unpack that package \
                 elsewhere and copy these files into {}:\n{}",
                self.name,
                media.display(),
                self.listing()
            );
        }
        report("demo media", &format!("downloading Debian's {}", self.name));
        pinned::fresh_folder(download)?;
        let archive = match self.download(download) {
            // The package lists of a fresh installation are empty.
            Err(_) if system::is_root() => {
                system::apt(&["update"])?;
                self.download(download)
            }
            result => result,
        }
        .with_context(|| {
            format!(
                "apt-get could not download {}: is there a network? `apt-get update` as root may help",
                self.name
            )
        })?;
        let unpacked = download.join("unpacked");
        process::run(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(&archive)
                .arg(&unpacked),
        )?;
        for file in self.files {
            file.install(&unpacked.join(self.folder).join(file.name), media)?;
        }
        Ok(())
    }

    /// The package's archive. apt-get drops it into the folder it runs in.
    fn download(&self, folder: &Path) -> Result<PathBuf> {
        let mut command = Command::new("apt-get");
        command
            .current_dir(folder)
            .args(["-q", "-o", "Dpkg::Use-Pty=0"]);
        if system::is_root() {
            // apt's own user may not be allowed to write into the project's folder.
            command.args(["-o", "APT::Sandbox::User=root"]);
        }
        process::run(command.arg("download").arg(self.name))?;
        fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension() == Some(OsStr::new("deb")))
            .with_context(|| format!("apt-get left no package in {}", folder.display()))
    }

    fn listing(&self) -> String {
        self.files
            .iter()
            .map(|file| format!("  {}/{}  sha256 {}", self.folder, file.name, file.sha256))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Joins the first sentences into one file.
fn write_default_speech(media: &Path) -> Result<()> {
    let target = media.join(DEFAULT_SPEECH);
    let sentences: Vec<Vec<u8>> = PACKAGES[1].files[..SENTENCES]
        .iter()
        .map(|file| fs::read(media.join(file.name)))
        .collect::<std::io::Result<_>>()
        .context("cannot read the recordings")?;
    let joined = join_wavs(&sentences)?;
    if fs::read(&target).is_ok_and(|present| present == joined) {
        return Ok(());
    }
    let unfinished = media.join(".speech.part");
    fs::write(&unfinished, joined)
        .and_then(|()| fs::rename(&unfinished, &target))
        .with_context(|| format!("cannot write {}", target.display()))
}

/// Length of a RIFF/WAVE header with nothing but a PCM format before the samples.
const WAV_HEADER: usize = 44;

/// Joins plain PCM WAVs of one format.
fn join_wavs(files: &[Vec<u8>]) -> Result<Vec<u8>> {
    let Some(first) = files.first().filter(|file| file.len() >= WAV_HEADER) else {
        bail!("no recording to join");
    };
    let mut joined = first[..WAV_HEADER].to_vec();
    for file in files {
        // Everything but the two lengths: tags, format, rate, channels, width.
        let alike =
            file.len() >= WAV_HEADER && file[8..40] == first[8..40] && file[36..40] == *b"data";
        if !alike {
            bail!("the recordings are not plain WAVs of one format");
        }
        joined.extend_from_slice(&file[WAV_HEADER..]);
    }
    let samples = u32::try_from(joined.len() - WAV_HEADER)?;
    joined[4..8].copy_from_slice(&(samples + WAV_HEADER as u32 - 8).to_le_bytes());
    joined[40..44].copy_from_slice(&samples.to_le_bytes());
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(rate: u32, samples: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        file.extend(16_u32.to_le_bytes());
        file.extend([1, 0, 1, 0]);
        file.extend(rate.to_le_bytes());
        file.extend((rate * 2).to_le_bytes());
        file.extend([2, 0, 16, 0]);
        file.extend(b"data");
        file.extend((samples.len() as u32).to_le_bytes());
        file.extend(samples);
        let length = file.len() as u32 - 8;
        file[4..8].copy_from_slice(&length.to_le_bytes());
        file
    }

    #[test]
    fn joined_recordings_are_one_recording() {
        let joined = join_wavs(&[wav(16_000, &[1, 2]), wav(16_000, &[3, 4, 5, 6])]).unwrap();
        assert_eq!(joined, wav(16_000, &[1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn recordings_of_different_formats_are_not_joined() {
        assert!(join_wavs(&[wav(16_000, &[1, 2]), wav(8_000, &[3, 4])]).is_err());
        assert!(join_wavs(&[vec![0; 10]]).is_err());
        assert!(join_wavs(&[]).is_err());
    }
}
