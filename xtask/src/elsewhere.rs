//! `cargo xtask test --on trixie|forky`: the plugin and the test programs that were built here, run
//! in a Debian of another release, with its GStreamer and its ONNX Runtime.
//!
//! The other Debian is a folder made by debootstrap. What it needs of this machine is mounted in a
//! mount namespace that ends with the tests, however they end.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    plugin::{self, Profile},
    process, setup,
};

/// Releases that are tested, and what they bring.
const RELEASES: [(&str, &str); 2] = [
    ("trixie", "Debian 13: GStreamer 1.26, ONNX Runtime 1.21"),
    ("forky", "Debian testing: GStreamer 1.28, ONNX Runtime 1.23"),
];
/// debootstrap takes the mirror that it knows itself.
const ITS_OWN_MIRROR: &str = "";
/// How debootstrap makes a release that it does not know yet.
const SCRIPTS: &str = "/usr/share/debootstrap/scripts";
const NEWEST_SCRIPT: &str = "sid";
/// The last is a pattern of apt's: the version is in the package's name.
const PACKAGES: &str = "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-nice \
    ^libonnxruntime1[.][0-9]+$";
/// What the other Debian must have to name machines as this one does.
const NETWORK: [&str; 2] = ["etc/resolv.conf", "etc/hosts"];
/// Left in a folder that is complete.
const COMPLETE: &str = ".lipsync-complete";
/// Seconds for one test program; the longest takes some minutes.
const PATIENCE: &str = "1200";
/// Networks of their own providers, which are no part of Debian.
const NOT_THERE: [&str; 2] = ["gpu", "openvino"];

/// Runs in the other Debian's folder `$1` with the repository `$2` and its target folder `$3`:
/// prints versions, then runs the programs that follow. `$4` is this machine's ONNX Runtime, whose
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
    gst-launch-1.0 -q videotestsrc num-buffers=3 ! lipsync ! fakesink 2>/dev/null
echo "test: the plugin finds that one by itself"
inside env G_DEBUG= gst-inspect-1.0 lipsync >/dev/null
failed=
for program; do
    echo "== ${program##*/}"
    inside sh -c 'cd "$1" && shift && exec timeout --kill-after=10 "$@"' - \
        "$repository" SECONDS "$program" --test-threads=1 --quiet 2>"$root/tmp/said" \
        || failed="$failed ${program##*/}"
    # Debian's ONNX Runtime brings every operator twice, and says so of each.
    grep -v 'Schema error: Trying to register' "$root/tmp/said" >&2 || true
done
[ -z "$failed" ] || { echo "test: failed:$failed" >&2; exit 1; }
"#;

pub fn run(release: &OsStr, folder: Option<OsString>, filter: Option<OsString>) -> Result<()> {
    let Some((release, about)) = RELEASES
        .into_iter()
        .find(|(name, _)| release == OsStr::new(name))
    else {
        let names = RELEASES.map(|(name, about)| format!("{name} ({about})"));
        bail!("--on knows {}", names.join(" and "));
    };
    println!("test: on {about}");
    let target = plugin::output_folder(Profile::Dev)?.with_file_name("elsewhere");
    let root = folder.map_or_else(|| target.join(release), PathBuf::from);
    check_means(&root)?;
    make(release, &root)?;

    let programs = build(filter.as_deref())?
        .into_iter()
        .filter(|(name, _)| !NOT_THERE.contains(&name.as_str()))
        .map(|(_, path)| path);
    let target = plugin::output_folder(Profile::Dev)?;
    let target = target.parent().context("a profile has a target folder")?;
    let library = setup::library().canonicalize().unwrap_or_default();
    let mut tests = Command::new("unshare");
    tests
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(SCRIPT.replace("SECONDS", PATIENCE))
        .arg("-")
        .args([root.as_path(), setup::root(), target, &library])
        .args(programs);
    process::run(&mut tests)
}

/// Refuses early and in words what would fail half-way.
fn check_means(root: &Path) -> Result<()> {
    let user = process::output_of(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() != "0" {
        bail!(
            "--on needs root, for chroot and mounts; this is user {}",
            user.trim()
        );
    }
    if !root.join(COMPLETE).exists() && !process::is_installed("debootstrap") {
        bail!("--on needs debootstrap: apt-get install debootstrap");
    }
    for program in ["unshare", "chroot"] {
        if !process::is_installed(program) {
            bail!("--on needs {program}, of Debian's util-linux or coreutils");
        }
    }
    Ok(())
}

/// The other Debian, unless it is there.
fn make(release: &str, root: &Path) -> Result<()> {
    if root.join(COMPLETE).exists() {
        return Ok(());
    }
    println!(
        "test: making {} with debootstrap, some minutes",
        root.display()
    );
    std::fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", "--include=ca-certificates", release])
        .arg(root)
        .arg(ITS_OWN_MIRROR);
    if !Path::new(SCRIPTS).join(release).exists() {
        debootstrap.arg(Path::new(SCRIPTS).join(NEWEST_SCRIPT));
    }
    process::run(&mut debootstrap)?;
    for file in NETWORK {
        std::fs::copy(Path::new("/").join(file), root.join(file))
            .with_context(|| format!("cannot copy /{file}"))?;
    }
    let mut install = Command::new("unshare");
    install
        .args(["--mount", "--propagation", "private", "sh", "-ec"])
        .arg(format!(
            r#"mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
            export DEBIAN_FRONTEND=noninteractive
            chroot "$1" apt-get -q update
            chroot "$1" apt-get -q install -y --no-install-recommends {PACKAGES}"#
        ))
        .arg("-")
        .arg(root);
    process::run(&mut install)?;
    std::fs::write(root.join(COMPLETE), "")?;
    Ok(())
}

/// Builds the plugin and its tests here; name and path of the programs whose name contains
/// `filter`.
pub fn build(filter: Option<&OsStr>) -> Result<Vec<(String, PathBuf)>> {
    process::run(&mut plugin::cargo(&["build", "-p", "gst-plugin-lipsync"]))?;
    let mut cargo = plugin::cargo(&["test", "--no-run", "-p", "gst-plugin-lipsync"]);
    cargo.args(["--lib", "--tests"]);
    let output = cargo.output().context("cannot start cargo")?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("`{}` failed:\n{told}", process::shown(&cargo));
    }
    let filter = filter.map_or_else(String::new, |filter| filter.to_string_lossy().into_owned());
    let programs: Vec<_> = programs(&told)
        .filter(|(name, _)| name.contains(&filter))
        .map(|(name, path)| (name, setup::root().join(path)))
        .collect();
    if programs.is_empty() {
        bail!("no test program's name contains \"{filter}\"");
    }
    Ok(programs)
}

/// Name and path of each program, from what `cargo test --no-run` says.
fn programs(told: &str) -> impl Iterator<Item = (String, PathBuf)> {
    told.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("Executable ")?;
        let path = PathBuf::from(line.strip_suffix(')')?.rsplit_once('(')?.1);
        let file = path.file_name()?.to_string_lossy();
        let name = file.rsplit_once('-')?.0.to_owned();
        Some((name, path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_cargos_words() {
        let told = "   Compiling x v1\n  Executable unittests src/lib.rs (target/debug/deps/gstlipsync-0a1)\n  \
                    Executable tests/bin.rs (/t/debug/deps/bin-ff)\n";
        let found: Vec<_> = programs(told).collect();
        assert_eq!(found[0].0, "gstlipsync");
        assert_eq!(
            found[1],
            ("bin".into(), PathBuf::from("/t/debug/deps/bin-ff"))
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn unknown_releases_are_refused_with_the_known_ones() {
        let error = run(OsStr::new("potato"), None, None).unwrap_err();
        assert!(error.to_string().contains("trixie (Debian 13"), "{error}");
    }
}
