//! An inference server to test and measure with: NVIDIA's Triton out of PyPI's wheel, and ONNX Runtime and numpy for the
//! models that its Python backend runs. Nothing is installed into Python.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{
    pinned::{self, sha256_of},
    report,
};
use crate::process;

const TITLE: &str = "Triton 2.51 with ONNX Runtime 1.31.1";
const MEGABYTES: u32 = 97;
/// What is unpacked, in a folder of `.setup`.
const FOLDER: &str = "server";
const WHEELS: [(&str, &str); 3] = [
    (
        "nvidia-pytriton==0.7.0",
        "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
    ),
    (
        "onnxruntime==1.31.1",
        "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
    ),
    // With numpy 2 the server's Python backend gives tensors without contents, and no error.
    (
        "numpy==1.26.4",
        "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5",
    ),
];
/// Says which wheels a folder was made of; written last.
const STAMP: &str = "wheels.txt";
/// Of the server, in that folder.
const HOME: &str = "pytriton/tritonserver";
/// The Python of the wheels, and of the program that runs models.
const STUB: &str = "python_backend_stubs/3.11/triton_python_backend_stub";
const BACKEND_STUB: &str = "backends/python/triton_python_backend_stub";
const PYTHON: &str = "libpython3.11.so.1.0";

/// Fetches the server, unless it is there.
pub fn ensure(setup: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("{TITLE} is known here for Linux on x86_64 only");
    }
    let folder = setup.join(FOLDER);
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == stamp()) {
        report(TITLE, "present");
        return Ok(());
    }
    report(TITLE, &format!("downloading with pip ({MEGABYTES} MB)"));
    let download = setup.join(format!("{FOLDER}.download"));
    let unfinished = setup.join(format!("{FOLDER}.part"));
    pinned::fresh_folder(&unfinished)?;
    for (requirement, sha256) in WHEELS {
        pinned::fresh_folder(&download)?;
        let wheel = pinned::wheel(requirement, &download)?;
        let found = sha256_of(&wheel)?;
        if found != sha256 {
            bail!(
                "{} is not the wheel that was expected.\n  sha256 found:    {found}\n  sha256 expected: {sha256}",
                wheel.display()
            );
        }
        unpack(&wheel, &unfinished)?;
    }
    finish(&unfinished)?;
    fs::write(unfinished.join(STAMP), stamp())
        .and_then(|()| fs::remove_dir_all(&download))
        .context("cannot finish the download")?;
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    fs::rename(&unfinished, &folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    report(TITLE, &format!("installed in .setup/{FOLDER}"));
    if !has_python() {
        report(
            PYTHON,
            "not found; the server runs models with it: Debian 12 has the package libpython3.11",
        );
    }
    Ok(())
}

fn stamp() -> String {
    let lines = WHEELS.iter();
    lines
        .map(|(requirement, sha256)| format!("{sha256} {requirement}\n"))
        .collect()
}

/// All of a wheel, which is a ZIP archive.
fn unpack(wheel: &Path, folder: &Path) -> Result<()> {
    process::run(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(wheel)
            .arg(folder),
    )
}

/// The server looks for the program that runs models beside its backend, and what Python unpacks cannot be run.
fn finish(folder: &Path) -> Result<()> {
    let home = folder.join(HOME);
    let (from, stub) = (home.join(STUB), home.join(BACKEND_STUB));
    fs::copy(&from, &stub).with_context(|| format!("cannot copy {}", from.display()))?;
    set_executable(&stub)?;
    set_executable(&home.join("bin/tritonserver"))
}

#[cfg(unix)]
fn set_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} a program", path.display()))
}

#[cfg(not(unix))]
fn set_executable(_path: &Path) -> Result<()> {
    Ok(())
}

/// Whether the library is where the system's loader looks.
fn has_python() -> bool {
    let output = Command::new("ldconfig").arg("-p").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(PYTHON))
}
