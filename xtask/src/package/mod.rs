//! `cargo xtask package`: the plugin with its tool as a Debian package, and beside it one with the ONNX Runtime that it
//! runs with. The same commit gives the same bytes, wherever it is built with the same Rust and Debian.
//!
//! What a package says of itself lies in `packaging/debian/`.

mod check;
mod commit;
mod deb;
mod licences;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    elsewhere,
    plugin::{self, Profile},
    process, setup,
};
use commit::Commit;
use deb::Deb;

/// The packages, as `packaging/debian/` names them.
const PLUGIN: &str = "gstreamer1.0-lipsync";
const RUNTIME: &str = "gstreamer1.0-lipsync-onnxruntime";
/// As it is installed.
const TOOL: &str = "gst-lipsync-1.0";
/// Of Debian, and what each is for here.
const PROGRAMS: [(&str, &str); 4] = [
    ("dpkg-deb", "dpkg"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("gzip", "gzip"),
    ("md5sum", "coreutils"),
];

/// Of a bare Debian, beside what Rust needs.
const NEEDED_THERE: &str = "dpkg-dev git";

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder for the packages [default: target/package]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build in a bare Debian of this release, in a folder; packages built on bookworm run on trixie too; as root
    #[arg(long, value_name = "RELEASE", value_parser = check::RELEASES,
        conflicts_with_all = ["out", "check", "reproduce"])]
    on: Option<String>,
    /// Install the packages in a bare Debian 12 and 13, in folders, run them there and remove them; as root
    #[arg(long)]
    check: bool,
    /// Build the commit once more from a clone elsewhere and compare the bytes
    #[arg(long)]
    reproduce: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(release) = &arguments.on {
        return elsewhere::command(release, None, NEEDED_THERE, &["package".into()]);
    }
    for (program, package) in PROGRAMS {
        if !process::is_installed(program) {
            bail!("packages are made with {program}: apt-get install {package}");
        }
    }
    setup::ensure_for_packages()?;
    let commit = Commit::of_repository()?;
    let out = match &arguments.out {
        Some(folder) => crate::absolute(folder)?,
        None => setup::root().join("target/package"),
    };
    let packages = make(&commit, &out)?;
    if arguments.reproduce {
        reproduce(&commit, &packages)?;
    }
    if arguments.check {
        check::run(&packages)?;
    }
    Ok(())
}

/// Builds and packs; returns the files.
fn make(commit: &Commit, out: &Path) -> Result<Vec<PathBuf>> {
    let built = build(commit)?;
    let staging = built.with_file_name("staging");
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let packages = [
        plugin_package(&built, &staging)?,
        runtime_package(&staging)?,
    ];
    let mut files = Vec::new();
    for package in packages {
        let file = package.build(commit, out)?;
        println!("package: {}", file.display());
        files.push(file);
    }
    Ok(files)
}

/// Builds plugin and tool so that neither the folder of the repository nor that of cargo is in them.
fn build(commit: &Commit) -> Result<PathBuf> {
    let target = plugin::output_folder(Profile::Release)?.with_file_name("package-build");
    let cargo_home = elsewhere::cargo_home()?;
    let remapped = [
        (setup::root(), "/gst-plugin-lipsync"),
        (&cargo_home, "/cargo"),
    ]
    .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let cargo = |words: &[&str]| {
        let mut cargo = plugin::cargo(words);
        cargo
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_ENCODED_RUSTFLAGS", remapped.join("\x1f"))
            .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("CARGO_INCREMENTAL", "0")
            .env("SOURCE_DATE_EPOCH", commit.seconds.to_string())
            // The plugin shows its commit in as many digits in every clone.
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "core.abbrev")
            .env("GIT_CONFIG_VALUE_0", "10");
        cargo
    };
    // A commit that leaves the plugin's own files alone would not have its build script run again.
    process::run(&mut cargo(&[
        "clean",
        "--release",
        "-p",
        "gst-plugin-lipsync",
    ]))?;
    process::run(&mut cargo(&[
        "build",
        "--release",
        "-p",
        "gst-plugin-lipsync",
        "-p",
        "gst-lipsync",
    ]))?;
    Ok(target.join("release"))
}

fn plugin_package(built: &Path, staging: &Path) -> Result<Deb> {
    let root = setup::root();
    let (library, program) = (built.join("libgstlipsync.so"), built.join("gst-lipsync"));
    let mut package = Deb::new(PLUGIN, staging)?;
    package.binary(&library, &format!("{}/libgstlipsync.so", plugins()?))?;
    package.binary(&program, &format!("usr/bin/{TOOL}"))?;
    for (what, path) in [
        ("man", format!("usr/share/man/man1/{TOOL}.1")),
        ("man-serve", format!("usr/share/man/man1/{TOOL}-serve.1")),
        (
            "bash",
            format!("usr/share/bash-completion/completions/{TOOL}"),
        ),
        ("zsh", format!("usr/share/zsh/vendor-completions/_{TOOL}")),
        (
            "fish",
            format!("usr/share/fish/vendor_completions.d/{TOOL}.fish"),
        ),
    ] {
        let mut generate = Command::new(&program);
        generate.args(["--generate", what]);
        let text = process::output_of(&mut generate)
            .with_context(|| format!("`{}` failed", process::shown(&generate)))?;
        match what {
            "man" | "man-serve" => package.gzipped(text.as_bytes(), &path)?,
            _ => package.text(text.as_bytes(), &path)?,
        }
    }
    package.document("CHANGELOG.md", &fs::read(root.join("CHANGELOG.md"))?)?;
    package.document("libraries", licences::of_libraries()?.as_bytes())?;
    for name in ["NOTICE", "LICENSE-MIT-FACEGOOD"] {
        let text = fs::read(root.join("models").join(name))?;
        package.document(&format!("models.{name}"), &text)?;
    }
    Ok(package)
}

fn runtime_package(staging: &Path) -> Result<Deb> {
    let mut package = Deb::new(RUNTIME, staging)?;
    // Where the plugin looks first: in its own folder. GStreamer takes files that end in .so only for plugins.
    package.binary(
        &setup::library(),
        &format!("{}/libonnxruntime.so.1", plugins()?),
    )?;
    for (name, file) in [
        ("LICENSE", "LICENSE"),
        ("libraries", "ThirdPartyNotices.txt"),
    ] {
        let path = setup::library().with_file_name(file);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        package.document(name, &text)?;
    }
    Ok(package)
}

/// Where this Debian's GStreamer looks for plugins, relative to the root.
fn plugins() -> Result<String> {
    let of = |variable| {
        let output = process::output_of(Command::new("dpkg-architecture").args(["-q", variable]));
        output.context("dpkg-architecture does not answer: apt-get install dpkg-dev")
    };
    Ok(format!(
        "usr/lib/{}/gstreamer-1.0",
        of("DEB_HOST_MULTIARCH")?.trim()
    ))
}

/// Compares with what a clone in another folder gives.
fn reproduce(commit: &Commit, packages: &[PathBuf]) -> Result<()> {
    if commit.is_changed {
        bail!("there are changes that are not committed, which a clone does not have");
    }
    let folder = std::env::temp_dir().join(format!("lipsync-reproduce-{}", std::process::id()));
    let (clone, out) = (folder.join("clone"), folder.join("out"));
    process::run(
        Command::new("git")
            .args(["clone", "-q", "--no-local"])
            .args([setup::root(), &clone]),
    )?;
    std::os::unix::fs::symlink(setup::folder().canonicalize()?, clone.join(".setup"))?;
    process::run(
        plugin::cargo(&["run", "--quiet", "--package", "xtask"])
            .current_dir(&clone)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .args(["--", "package", "--out"])
            .arg(&out),
    )?;
    for package in packages {
        let name = package.file_name().context("a package has a name")?;
        let [here, there] = [package.clone(), out.join(name)].map(fs::read);
        if here? != there? {
            bail!(
                "{} and {} differ",
                package.display(),
                out.join(name).display()
            );
        }
        println!("package: {} is the same to the byte", name.display());
    }
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}
