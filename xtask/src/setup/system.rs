//! What the distribution provides: GStreamer with its plugins, pkg-config, Python with pip.
//!
//! Installed by apt as root on Debian and its kin; everywhere else setup says what to install.

use std::{collections::HashSet, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::report;
use crate::process;

/// Version that the plugin is built for.
const GSTREAMER: &str = "1.22";

/// Development files, by pkg-config name.
const LIBRARIES: [&str; 6] = [
    "gstreamer-1.0",
    "gstreamer-base-1.0",
    "gstreamer-audio-1.0",
    "gstreamer-video-1.0",
    "gstreamer-app-1.0",
    "gstreamer-check-1.0",
];

/// Names the packages that setup has installed, one a line, for those who want to be rid of them.
const INSTALLED: &str = "apt-packages.txt";

/// Something that must be there: how it is called, and what brings it on Debian.
struct Need {
    name: &'static str,
    debian: &'static [&'static str],
}

const PKG_CONFIG: Need = Need {
    name: "pkg-config",
    debian: &["pkg-config"],
};
const DEVELOPMENT: Need = Need {
    name: "GStreamer >= 1.22 development files",
    debian: &["libgstreamer1.0-dev", "libgstreamer-plugins-base1.0-dev"],
};
const TOOLS: Need = Need {
    name: "gst-launch-1.0 and gst-inspect-1.0",
    debian: &["gstreamer1.0-tools"],
};
const PIP: Need = Need {
    name: "Python 3 with pip",
    debian: &["python3", "python3-pip"],
};

/// GStreamer's plugin sets, each known by elements that the pipelines here use.
const PLUGINS: [(Need, &[&str]); 6] = [
    (
        Need {
            name: "GStreamer base plugins",
            debian: &["gstreamer1.0-plugins-base"],
        },
        &["decodebin", "videoconvert", "audioconvert", "audioresample"],
    ),
    (
        Need {
            name: "GStreamer good plugins",
            debian: &["gstreamer1.0-plugins-good"],
        },
        &[
            "imagefreeze",
            "jpegdec",
            "pngdec",
            "wavparse",
            "mp4mux",
            "matroskademux",
            "flacdec",
        ],
    ),
    (
        Need {
            name: "GStreamer bad plugins",
            debian: &["gstreamer1.0-plugins-bad"],
        },
        &["h264parse", "openh264enc", "srtsink", "webrtcbin"],
    ),
    (
        Need {
            name: "GStreamer ugly plugins",
            debian: &["gstreamer1.0-plugins-ugly"],
        },
        &["x264enc"],
    ),
    (
        Need {
            name: "GStreamer libav plugin",
            debian: &["gstreamer1.0-libav"],
        },
        &["avdec_h264", "avenc_aac"],
    ),
    (
        Need {
            name: "GStreamer ICE plugin, for WebRTC",
            debian: &["gstreamer1.0-nice"],
        },
        &["nicesink"],
    ),
];

const ELSEWHERE: &str = "\
On other systems install, and run this again:
  Fedora  dnf install pkgconf gstreamer1-devel gstreamer1-plugins-base-devel gstreamer1-plugins-base-tools \
gstreamer1-plugins-good gstreamer1-plugins-bad-free gstreamer1-plugin-openh264 gstreamer1-plugin-libav libnice-gstreamer1 python3-pip
          (x264enc is in RPM Fusion's gstreamer1-plugins-ugly)
  Arch    pacman -S pkgconf gstreamer gst-plugins-base gst-plugins-good gst-plugins-bad gst-plugins-ugly gst-libav libnice python-pip
  macOS   brew install pkgconf gstreamer python onnxruntime";

/// Installs what is missing; `setup` is the folder that keeps the list of it.
pub fn ensure(setup: &Path) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        report("GStreamer, pkg-config, Python", "present");
        return Ok(());
    }
    for need in &missing {
        report(need.name, "missing");
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.debian)
        .copied()
        .collect();
    if !process::is_installed("apt-get") {
        bail!("cannot install packages on this system.\n{ELSEWHERE}");
    }
    let install = format!(
        "apt-get update && apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    );
    if !is_root() {
        bail!(
            "installing needs root. Run this, then the same command again:\n  sudo sh -c '{install}'"
        );
    }
    apt(&["update"])?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(&packages);
    apt(&arguments)?;
    note_installed(setup, &packages)?;
    let still = self::missing();
    if let Some(need) = still.first() {
        bail!(
            "{} is still missing after installing {}. This system's packages may be too old: \
             GStreamer {GSTREAMER} or newer is needed (Debian 12, Ubuntu 23.04 or newer)",
            need.name,
            need.debian.join(" ")
        );
    }
    report("GStreamer, pkg-config, Python", "installed");
    Ok(())
}

/// Adds packages to the list of those that setup has installed.
fn note_installed(setup: &Path, packages: &[&str]) -> Result<()> {
    let list = setup.join(INSTALLED);
    let mut known = fs::read_to_string(&list).unwrap_or_default();
    for package in packages {
        if !known.lines().any(|line| line == *package) {
            known.push_str(package);
            known.push('\n');
        }
    }
    fs::create_dir_all(setup)
        .and_then(|()| fs::write(&list, known))
        .with_context(|| format!("cannot write {}", list.display()))
}

/// `apt-get` without questions.
fn apt(arguments: &[&str]) -> Result<()> {
    process::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-o", "Dpkg::Use-Pty=0"])
            .args(arguments),
    )
}

/// Whether packages can be installed: the effective user is root.
fn is_root() -> bool {
    process::output_of(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

fn missing() -> Vec<&'static Need> {
    let mut missing = Vec::new();
    if !process::is_installed("pkg-config") {
        missing.push(&PKG_CONFIG);
    }
    if !has_development_files() {
        missing.push(&DEVELOPMENT);
    }
    let elements = installed_elements();
    if elements.is_none() || !process::is_installed("gst-launch-1.0") {
        missing.push(&TOOLS);
    }
    let elements = elements.unwrap_or_default();
    for (need, expected) in &PLUGINS {
        if !expected.iter().all(|element| elements.contains(*element)) {
            missing.push(need);
        }
    }
    if !has_pip() {
        missing.push(&PIP);
    }
    missing
}

fn has_development_files() -> bool {
    let expected = LIBRARIES.map(|library| format!("{library} >= {GSTREAMER}"));
    process::output_of(Command::new("pkg-config").arg("--exists").args(expected)).is_some()
}

/// pip as a file beside the interpreter's modules: asking pip itself takes longer than all else.
fn has_pip() -> bool {
    const FIND: &str =
        "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)";
    process::output_of(Command::new("python3").args(["-c", FIND])).is_some()
}

/// Names of all elements that GStreamer knows, or `None` without gst-inspect-1.0.
fn installed_elements() -> Option<HashSet<String>> {
    let listing = process::output_of(&mut Command::new("gst-inspect-1.0"))?;
    Some(elements_in(&listing))
}

/// Lines of the listing read `plugin:  element: description`.
fn elements_in(listing: &str) -> HashSet<String> {
    listing
        .lines()
        .filter_map(|line| line.split(':').nth(1))
        .map(|element| element.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_from_the_listing() {
        let listing = "jpeg:  jpegdec: JPEG image decoder\nx264:  x264enc: x264 H.264 Encoder\n\
                       typefindfunctions: image/jpeg: jpg\n\nTotal count: 2 plugins, 2 features\n";
        let elements = elements_in(listing);
        assert!(elements.contains("jpegdec") && elements.contains("x264enc"));
        assert!(!elements.contains("jpeg"));
    }

    #[test]
    fn what_was_installed_is_noted_once() {
        let setup = std::env::temp_dir().join(format!("xtask-installed-{}", std::process::id()));
        note_installed(&setup, &["pkg-config", "gstreamer1.0-tools"]).unwrap();
        note_installed(&setup, &["python3", "pkg-config"]).unwrap();
        let noted = fs::read_to_string(setup.join(INSTALLED)).unwrap();
        assert_eq!(noted, "pkg-config\ngstreamer1.0-tools\npython3\n");
        fs::remove_dir_all(setup).unwrap();
    }
}
