//! The ONNX Runtime shared library, out of PyPI's wheel: nothing is installed into Python or the
//! system.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{
    pinned::{self, Pinned, sha256_of},
    report,
};

const REQUIREMENT: &str = "onnxruntime==1.31.1";
const LIBRARY: &str = "libonnxruntime.so.1.31.1";
/// The names that programs and loaders ask for.
const LINKS: [&str; 2] = ["libonnxruntime.so.1", "libonnxruntime.so"];

/// The wheel and the library in it, by machine.
struct Build {
    machine: &'static str,
    wheel_sha256: &'static str,
    library: Pinned,
}

static BUILDS: [Build; 2] = [
    Build {
        machine: "x86_64",
        wheel_sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        library: Pinned {
            name: LIBRARY,
            sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
        },
    },
    Build {
        machine: "aarch64",
        wheel_sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        library: Pinned {
            name: LIBRARY,
            sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
        },
    },
];

/// Beside the library in the wheel's folder above: what goes with it where it is passed on.
const LICENCES: [&str; 2] = ["LICENSE", "ThirdPartyNotices.txt"];

pub fn ensure(setup: &Path) -> Result<()> {
    let build = build()?;
    let folder = setup.join("onnxruntime");
    if build.library.is_in(&folder) {
        link(&folder, LIBRARY)?;
        report("ONNX Runtime 1.31.1", "present");
        return Ok(());
    }
    fetch(build, setup, &folder)
}

/// The same with its licences, which older versions of setup did not keep.
pub fn ensure_with_licences(setup: &Path) -> Result<()> {
    let folder = setup.join("onnxruntime");
    if LICENCES.iter().all(|name| folder.join(name).exists()) {
        return ensure(setup);
    }
    fetch(build()?, setup, &folder)
}

fn build() -> Result<&'static Build> {
    let machine = std::env::consts::ARCH;
    BUILDS
        .iter()
        .find(|build| cfg!(target_os = "linux") && build.machine == machine)
        .with_context(|| {
            format!(
                "no ONNX Runtime is known here for {} on {machine}. Install ONNX Runtime 1.17 or newer \
                 (macOS: brew install onnxruntime) and set ORT_DYLIB_PATH to its library",
                std::env::consts::OS
            )
        })
}

fn fetch(build: &Build, setup: &Path, folder: &Path) -> Result<()> {
    report("ONNX Runtime 1.31.1", "downloading with pip (25 MB)");
    let download = setup.join("download");
    pinned::fresh_folder(&download)?;
    let wheel = pinned::wheel(REQUIREMENT, &download)?;
    let found = sha256_of(&wheel)?;
    if found != build.wheel_sha256 {
        bail!(
            "{} is not the wheel that was expected.\n  sha256 found:    {found}\n  sha256 expected: {}",
            wheel.display(),
            build.wheel_sha256
        );
    }
    let library = pinned::unzip(&wheel, &format!("onnxruntime/capi/{LIBRARY}"), &download)?;
    build.library.install(&library, folder)?;
    for name in LICENCES {
        let text = pinned::unzip(&wheel, &format!("onnxruntime/{name}"), &download)?;
        fs::copy(&text, folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    link(folder, LIBRARY)?;
    fs::remove_dir_all(&download).context("cannot remove the download")?;
    report("ONNX Runtime 1.31.1", "installed in .setup/onnxruntime");
    Ok(())
}

/// Gives the library in `folder` the names that loaders ask for.
#[cfg(unix)]
pub fn link(folder: &Path, library: &str) -> Result<()> {
    for name in LINKS {
        let link = folder.join(name);
        if fs::read_link(&link).is_ok_and(|target| target == Path::new(library)) {
            continue;
        }
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(library, &link)
            .with_context(|| format!("cannot create {}", link.display()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn link(_folder: &Path, _library: &str) -> Result<()> {
    bail!("setup knows no ONNX Runtime for this system")
}
