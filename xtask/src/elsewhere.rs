//! `cargo xtask demo`, `soak` and `test` with `--on RELEASE`, in a Debian of another
//! release: the first two set up, build and run all there as a newcomer does, with the Rust of this
//! machine; the last runs the plugin and the test programs that were built here, with that
//! Debian's GStreamer and ONNX Runtime.
//!
//! The other Debian is a folder made by debootstrap. What it needs of this machine is mounted in a
//! mount namespace that ends with the command, however it ends.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{
    plugin::{self, Profile},
    process, setup, test,
};

/// Releases that are tested.
#[derive(Clone, Copy, ValueEnum)]
pub enum Release {
    /// Debian 13: GStreamer 1.26, ONNX Runtime 1.21
    Trixie,
    /// Debian testing: GStreamer 1.28, ONNX Runtime 1.23
    Forky,
}

impl Release {
    pub fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }
}

/// debootstrap takes the mirror that it knows itself.
const ITS_OWN_MIRROR: &str = "";
/// How debootstrap makes a release that it does not know yet.
const SCRIPTS: &str = "/usr/share/debootstrap/scripts";
const NEWEST_SCRIPT: &str = "sid";
/// What Rust links with; a newcomer installs it with Rust itself.
const LINKER: &str = "gcc libc6-dev";
/// What the test programs need. The last is a pattern of apt's: the version is in the package's name.
const TESTED_WITH: &str = "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-nice \
    ^libonnxruntime1[.][0-9]+$";
/// What the other Debian must have to name machines as this one does.
const NETWORK: [&str; 2] = ["etc/resolv.conf", "etc/hosts"];
/// Left in a folder that debootstrap has made whole.
const COMPLETE: &str = ".lipsync-complete";
/// Seconds for one test program; the longest takes some minutes.
const PATIENCE: &str = "1200";
/// Networks of their own providers, which are no part of Debian.
const NOT_THERE: [&str; 2] = ["gpu", "openvino"];

/// Installs the packages `$2` in the folder `$1`.
const INSTALL: &str = r#"
set -eu
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
export DEBIAN_FRONTEND=noninteractive
chroot "$1" apt-get -q update
chroot "$1" apt-get -q install -y --no-install-recommends $2
"#;

/// Runs `cargo xtask` with the arguments that follow, in the folder `$1` with the repository `$2`,
/// Rust's folder `$3` and cargo's `$4`. What is set up and built stays in the folder.
const NEWCOMER: &str = r#"
set -eu
root=$1 repository=$2 rust=$3 cargo=$4
shift 4
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in "$repository" "$rust" "$cargo"; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
done
# Whom this machine trusts, behind a proxy of its own too.
mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
mkdir -p "$root/var/lib/lipsync-setup" "$repository/.setup"
mount --bind "$root/var/lib/lipsync-setup" "$root$repository/.setup"
exec chroot "$root" env --chdir="$repository" HOME=/root LANG=C.UTF-8 CARGO_HOME="$cargo" \
    CARGO_TARGET_DIR=/var/lib/lipsync-target PATH="$rust/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    cargo xtask "$@"
"#;

/// Runs in the other Debian's folder `$1` with the repository `$2` and its target folder `$3`:
/// prints versions, then runs the tests `$TESTS` of the programs that follow. `$4` is this machine's ONNX Runtime, whose
/// place the other's own takes.
const SCRIPT: &str = r#"
set -eu
root=$1 repository=$2 target=$3 library=$4
shift 4
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in "$repository" "$target"; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
done
own=$(cd "$root" && ls usr/lib/*/libonnxruntime.so.1.* | sort -V | tail -n 1)
if [ -n "$library" ]; then mount --bind "$root/$own" "$root$library"; fi
inside() {
    chroot "$root" env HOME=/root G_DEBUG=fatal_warnings ORT_DYLIB_PATH="${library:-/$own}" \
        GST_PLUGIN_PATH="$target/debug" GST_REGISTRY=/tmp/lipsync-registry.bin "$@"
}
inside sed -n 's/^PRETTY_NAME=/test: /p' /etc/os-release
inside gst-inspect-1.0 --version | sed -n 's/^GStreamer/test: &/p'
echo "test: ONNX Runtime /$own"
mkdir -p "$root/tmp/lipsync-alone"
cp "$target/debug/libgstlipsync.so" "$root/tmp/lipsync-alone"
inside env -u ORT_DYLIB_PATH G_DEBUG= GST_PLUGIN_PATH=/tmp/lipsync-alone \
    gst-launch-1.0 -q videotestsrc num-buffers=3 ! lipsync ! fakesink 2>"$root/tmp/said"
echo "test: the plugin finds that one by itself"
# Debian's ONNX Runtime brings every operator twice, and says so of each.
if grep 'Schema error' "$root/tmp/said"; then
    echo "test: the user hears of operators that are registered twice" >&2
    exit 1
fi
inside env G_DEBUG= gst-inspect-1.0 lipsync >/dev/null
failed=
for program; do
    echo "== ${program##*/}"
    inside sh -c 'cd "$1" && shift && exec timeout --kill-after=10 "$@"' - \
        "$repository" SECONDS "$program" --test-threads=1 --quiet $TESTS \
        || failed="$failed ${program##*/}"
done
[ -z "$failed" ] || { echo "test: failed:$failed" >&2; exit 1; }
"#;

/// Where cargo keeps what it downloads.
pub fn cargo_home() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(PathBuf::from(home).join(".cargo"))
}

/// Runs `cargo xtask` with these words in the Debian of that name, which gets Debian's `packages` first.
pub fn command(
    release: &str,
    folder: Option<&Path>,
    packages: &str,
    words: &[OsString],
) -> Result<()> {
    let root = make(release, folder)?;
    install(&root, LINKER)?;
    if !packages.is_empty() {
        install(&root, packages)?;
    }
    let rust = process::output_of(Command::new("rustc").args(["--print", "sysroot"]))
        .context("rustc does not say where it lies")?;
    let cargo = cargo_home()?;
    let mut there = in_namespace(NEWCOMER);
    there
        .args([
            root.as_path(),
            setup::root(),
            Path::new(rust.trim()),
            &cargo,
        ])
        .args(words)
        // Whatever chooses this machine's own Rust, libraries and Python packages.
        .env_clear();
    let profiles = |name: &OsString| name.to_string_lossy().starts_with("CARGO_PROFILE_");
    there.envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || profiles(name)));
    process::run(&mut there)
}

/// Runs test programs there. A text of `filter` that is part of programs' names chooses these, any other
/// chooses tests in them.
pub fn tests(release: Release, folder: Option<&Path>, filter: &[String]) -> Result<()> {
    let root = make(release.name(), folder)?;
    install(&root, TESTED_WITH)?;
    let built = test::build()?;
    let (programs, tests): (Vec<_>, Vec<_>) = filter
        .iter()
        .cloned()
        .partition(|text| built.iter().any(|(name, _)| name.contains(text.as_str())));
    let programs = built
        .into_iter()
        .filter(|(name, _)| test::is_chosen(name, &programs))
        .filter(|(name, _)| !NOT_THERE.contains(&name.as_str()))
        .map(|(_, path)| path);
    let target = plugin::output_folder(Profile::Dev)?;
    let target = target.parent().context("a profile has a target folder")?;
    let library = setup::library().canonicalize().unwrap_or_default();
    let mut run = in_namespace(&SCRIPT.replace("SECONDS", PATIENCE));
    run.args([root.as_path(), setup::root(), target, &library])
        .args(programs)
        .env("TESTS", tests.join(" "));
    process::run(&mut run)
}

/// A shell with mounts of its own; arguments are the script's.
pub fn in_namespace(script: &str) -> Command {
    let mut shell = Command::new("unshare");
    shell
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(script)
        .arg("-");
    shell
}

/// Refuses early and in words what would fail half-way.
fn check_means(root: &Path) -> Result<()> {
    let user = process::output_of(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() != "0" {
        bail!(
            "another Debian needs root, for chroot and mounts; this is user {}",
            user.trim()
        );
    }
    if !root.join(COMPLETE).exists() && !process::is_installed("debootstrap") {
        bail!("another Debian needs debootstrap: apt-get install debootstrap");
    }
    for program in ["unshare", "chroot"] {
        if !process::is_installed(program) {
            bail!("another Debian needs {program}, of Debian's util-linux or coreutils");
        }
    }
    Ok(())
}

/// A folder with a Debian in which nothing is installed.
pub fn make_bare(release: &str) -> Result<PathBuf> {
    make(release, Some(&usual_folder(&format!("{release}-bare"))?))
}

fn usual_folder(name: &str) -> Result<PathBuf> {
    let target = plugin::output_folder(Profile::Dev)?;
    Ok(target.with_file_name("elsewhere").join(name))
}

/// The other Debian's folder, made unless it is there.
fn make(release: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let root = match folder {
        Some(folder) => folder.to_path_buf(),
        None => usual_folder(release)?,
    };
    check_means(&root)?;
    if root.join(COMPLETE).exists() {
        return Ok(root);
    }
    println!("xtask: making {} with debootstrap", root.display());
    std::fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", "--include=ca-certificates", release])
        .arg(&root)
        .arg(ITS_OWN_MIRROR);
    if !Path::new(SCRIPTS).join(release).exists() {
        debootstrap.arg(Path::new(SCRIPTS).join(NEWEST_SCRIPT));
    }
    process::run(&mut debootstrap)?;
    for file in NETWORK {
        std::fs::copy(Path::new("/").join(file), root.join(file))
            .with_context(|| format!("cannot copy /{file}"))?;
    }
    std::fs::write(root.join(COMPLETE), "")?;
    Ok(root)
}

/// Installs packages there, unless these have been.
fn install(root: &Path, packages: &str) -> Result<()> {
    let installed = root.join(COMPLETE);
    let known = std::fs::read_to_string(&installed).unwrap_or_default();
    if known.lines().any(|line| line == packages) {
        return Ok(());
    }
    process::run(in_namespace(INSTALL).arg(root).arg(packages))?;
    std::fs::write(&installed, format!("{known}{packages}\n"))?;
    Ok(())
}
