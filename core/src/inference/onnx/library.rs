//! Finds and loads the ONNX Runtime shared library, once per process.
//!
//! Any other call into `ort` before a successful [`load`] would panic, so every way to a session
//! leads through here. Must not know models or providers.

use std::env;
use std::error::Error as _;
use std::ffi::{OsString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use once_cell::sync::OnceCell;
use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::session::Session;

use crate::{
    Error,
    inference::{
        onnx::{
            exit_guard, loaded_files,
            runtime_log::{self, Level},
            stderr_filter,
        },
        options::Provider,
    },
};

/// Environment variable that names the library; `ort` itself and other programs use it too.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// File names of the library: as the dynamic loader knows it, and as a development package or a
/// wheel unpacked by hand has it.
const NAMES: [&str; 2] = ["libonnxruntime.so.1", "libonnxruntime.so"];
/// Begins the name of a library that has its whole version there, `1.21` or `1.21.0`: Debian's
/// package has no other. The loader does not guess such a name.
const VERSIONED: &str = "libonnxruntime.so.1.";
/// The system's folders of libraries; those for one kind of CPU, as Debian has them, are
/// named after it.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/lib", "/usr/lib", "/usr/lib64"];
/// Where `cargo xtask setup` puts its libraries, relative to the repository: one folder a build.
const SETUP_FOLDER: &str = ".setup";
const SETUP_CPU: &str = "onnxruntime";
const SETUP_OPENVINO: &str = "openvino";
/// TensorRT too.
const SETUP_CUDA: &str = "cuda";
/// One of them is there where NVIDIA's driver is; the second one in Windows' Linux.
const NVIDIA_DRIVER: [&str; 2] = ["/proc/driver/nvidia", "/dev/dxg"];
/// `target/debug/deps` of the repository is the deepest place a build is run from.
const SETUP_LEVELS: usize = 4;

/// The loaded library with the one environment that a process may have.
pub struct Runtime {
    pub(super) environment: Environment,
    path: PathBuf,
    version: String,
}

impl Runtime {
    /// The file that was loaded.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Such as `1.31`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it is 1.`minor` or newer, as far as it tells.
    pub(super) fn is_at_least(&self, minor: u32) -> bool {
        let found = self.version.strip_prefix("1.").map(str::parse::<u32>);
        matches!(found, Some(Ok(found)) if found >= minor)
    }
}

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

/// The ONNX Runtime of this process, loaded on the first call.
///
/// Search order: `explicit`; the environment variable `ORT_DYLIB_PATH`; the folder of the plugin
/// file, and of the file that it is a link to; `.setup` in one of the four folders above these, there first the build that
/// was set up for `provider` and last the one for the CPU; the dynamic loader's search path; the
/// newest of any version in the system's folders of libraries, where Debian puts it. The first two are orders, not hints: when they are given, nothing else is tried. After a failure
/// the next call searches again.
///
/// # Errors
/// [`Error::RuntimeMissing`] with every path tried and why it failed; also when `explicit` names
/// another file than the one that this process already runs.
pub fn load(explicit: Option<&Path>, provider: Provider) -> Result<&'static Runtime, Error> {
    let runtime = RUNTIME.get_or_try_init(|| {
        let plugin = loaded_files::own_file();
        let builds = builds(
            provider,
            NVIDIA_DRIVER.iter().any(|path| Path::new(path).exists()),
        );
        let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let named_by = variable.as_ref().filter(|_| explicit.is_none());
        let named_by = named_by.map(|_| VARIABLE);
        let candidates = candidates(explicit, variable, plugin.as_deref(), &builds);
        let runtime = first_usable(&candidates, named_by)?;
        exit_guard::wait_at_exit(&runtime.environment);
        Ok(runtime)
    })?;
    match explicit {
        Some(expected) if !is_same_file(expected, &runtime.path) => Err(missing(vec![format!(
            "{}: this process already runs {}, and only one ONNX Runtime fits in a process",
            expected.display(),
            runtime.path.display()
        )])),
        _ => Ok(runtime),
    }
}

/// Folders of [`SETUP_FOLDER`], the best for `provider` first.
fn builds(provider: Provider, has_driver: bool) -> Vec<&'static str> {
    let best: &[_] = match provider {
        Provider::Cpu | Provider::Remote => &[],
        Provider::OpenVino => &[SETUP_OPENVINO],
        Provider::Cuda | Provider::TensorRt => &[SETUP_CUDA],
        Provider::Auto if has_driver => &[SETUP_CUDA, SETUP_OPENVINO],
        Provider::Auto => &[SETUP_OPENVINO],
    };
    [best, &[SETUP_CPU]].concat()
}

fn candidates(
    explicit: Option<&Path>,
    variable: Option<OsString>,
    plugin: Option<&Path>,
    builds: &[&str],
) -> Vec<PathBuf> {
    if let Some(path) = explicit {
        return vec![anchored(path)];
    }
    if let Some(path) = variable {
        return vec![anchored(Path::new(&path))];
    }
    let mut paths = Vec::new();
    let folders = folders(plugin);
    for folder in &folders {
        paths.extend(NAMES.map(|name| folder.join(name)));
    }
    for build in builds {
        let build = Path::new(SETUP_FOLDER).join(build).join(NAMES[1]);
        for folder in &folders {
            let above = folder.ancestors().take(SETUP_LEVELS);
            paths.extend(above.map(|folder| folder.join(&build)));
        }
    }
    paths.extend(NAMES.map(PathBuf::from));
    paths.extend(newest_of_system());
    paths
}

/// The folder of the plugin and, where that is a link, of the file itself.
fn folders(plugin: Option<&Path>) -> Vec<PathBuf> {
    let real = plugin.and_then(|plugin| plugin.canonicalize().ok());
    let mut folders: Vec<_> = [plugin, real.as_deref()]
        .into_iter()
        .filter_map(|file| Some(file?.parent()?.to_path_buf()))
        .collect();
    folders.dedup();
    folders
}

/// The library of the newest version in the system's folders.
fn newest_of_system() -> Option<PathBuf> {
    let triplet = format!("{}-linux-gnu", env::consts::ARCH);
    let folders = SYSTEM_FOLDERS.map(Path::new);
    folders
        .into_iter()
        .flat_map(|folder| [folder.join(&triplet), folder.to_path_buf()])
        .filter_map(|folder| newest_in(&folder))
        .next()
}

/// The library in `folder` whose name has the newest version.
fn newest_in(folder: &Path) -> Option<PathBuf> {
    let minor = |path: &PathBuf| {
        let version = path.file_name()?.to_str()?.strip_prefix(VERSIONED)?;
        version.split('.').next()?.parse::<u32>().ok()
    };
    let entries = std::fs::read_dir(folder).ok()?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|path| minor(path).is_some()).max_by_key(minor)
}

/// A path with a folder in it means the working directory, a bare name the loader's search path.
fn anchored(path: &Path) -> PathBuf {
    if path.components().count() < 2 {
        return path.to_path_buf();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// `named_by` is the variable that the candidates are from, for messages.
fn first_usable(candidates: &[PathBuf], named_by: Option<&str>) -> Result<Runtime, Error> {
    let mut tried = Vec::new();
    for path in candidates {
        // `ort` panics on a library that promises an interface and does not deliver it.
        match catch_unwind(AssertUnwindSafe(|| start(path))) {
            Ok(Ok(runtime)) => return Ok(runtime),
            Ok(Err(reason)) => tried.push(labelled(path, reason)),
            Err(_) => tried.push(labelled(path, "is not a working ONNX Runtime".into())),
        }
    }
    if let Some(variable) = named_by {
        tried.push(format!("nothing else was tried, since {variable} names it"));
    }
    Err(missing(tried))
}

/// The loader's message mostly begins with the path already.
fn labelled(path: &Path, reason: String) -> String {
    let path = path.display().to_string();
    if reason.starts_with(&path) {
        reason
    } else {
        format!("{path}: {reason}")
    }
}

fn missing(tried: Vec<String>) -> Error {
    Error::RuntimeMissing {
        tried: tried
            .iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
        expected: expected(),
    }
}

fn expected() -> String {
    format!("1.{}", ort::MINOR_VERSION)
}

/// Loads one file and starts its environment.
fn start(path: &Path) -> Result<Runtime, String> {
    let builder = ort::init_from(path).map_err(|error| reason(&error))?;
    let environment = builder
        .with_name("lipsync")
        .with_telemetry(false)
        .with_logger(runtime_log::logger())
        .build()
        .map_err(|error| format!("does not start: {error}"))?;
    environment.set_log_level(runtime_log::threshold());
    // Asked of the library itself, as the loader decides what a bare name stands for.
    let run = ort::api().Run as *const c_void;
    let path = loaded_files::file_of(run).unwrap_or_else(|| path.to_path_buf());
    let version = ort::util::probe(&path).map_or("unknown".into(), |minor| format!("1.{minor}"));
    if loaded_files::has(OPERATORS) {
        register_operators(&environment);
    }
    runtime_log::say(
        Level::Info,
        &format!("ONNX Runtime {version}, {}", path.display()),
    );
    Ok(Runtime {
        environment,
        path,
        version,
    })
}

/// Begins the name of a library with the operators alone, which ONNX Runtime shares with others in
/// Debian. It registers them, ONNX Runtime registers them again when it first needs one, and so
/// some 570 lines like these are printed to standard error (1.21, Debian 13). They mean nothing.
const OPERATORS: &str = "libonnx.so";
const REGISTERED_TWICE: &str = "Schema error: Trying to register schema";
/// `y = x`, one float: ONNX version 8, operators 17.
const SMALLEST: &[u8] = b"\x08\x08\x3a\x33\x0a\x10\x0a\x01x\x12\x01y\x22\x08Identity\x12\x01g\
    \x5a\x0d\x0a\x01x\x12\x08\x0a\x06\x08\x01\x12\x02\x0a\x00\x62\x0d\x0a\x01y\x12\x08\x0a\x06\x08\x01\x12\x02\x0a\x00\
    \x42\x02\x10\x11";

/// Has ONNX Runtime need an operator while nobody hears what is printed.
fn register_operators(environment: &Environment) {
    let (opened, dropped) = stderr_filter::without_lines(REGISTERED_TWICE, || {
        Session::builder(environment)?
            .with_intra_threads(1)?
            .commit_from_memory(SMALLEST)
    });
    let faults = opened.err().map(|error: ort::Error| format!(", {error}"));
    runtime_log::say(
        Level::Info,
        &format!(
            "{dropped} lines were kept from standard error, which said of operators that they are \
             registered twice{}",
            faults.unwrap_or_default()
        ),
    );
}

/// In the loader's own words where it has any.
fn reason(error: &LoadDynamicError) -> String {
    match error {
        LoadDynamicError::Dlopen { error, .. } => error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string),
        LoadDynamicError::MissingApi { .. } => {
            "is not an ONNX Runtime library: it has no OrtGetApiBase".into()
        }
        LoadDynamicError::BadVersion { version_str, .. } => {
            format!(
                "is ONNX Runtime {version_str}, expected is {} or newer",
                expected()
            )
        }
        LoadDynamicError::InvalidVersionString => "has an unreadable version".into(),
    }
}

fn is_same_file(expected: &Path, loaded: &Path) -> bool {
    let expected = anchored(expected);
    match (expected.canonicalize(), loaded.canonicalize()) {
        (Ok(expected), Ok(loaded)) => expected == loaded,
        // A bare name: whatever the loader finds under it is in use.
        _ => expected.components().count() < 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_leave_no_choice() {
        let plugin = Path::new("/usr/lib/gstreamer-1.0/libgstlipsync.so");
        let variable = Some(OsString::from("/opt/b.so"));
        let explicit = Some(Path::new("/opt/a.so"));
        let paths = candidates(explicit, variable.clone(), Some(plugin), &[]);
        assert_eq!(paths, [Path::new("/opt/a.so")]);
        let paths = candidates(None, variable, Some(plugin), &[]);
        assert_eq!(paths, [Path::new("/opt/b.so")]);
    }

    #[test]
    fn a_variable_that_leads_nowhere_is_named() {
        let missing = [PathBuf::from("/nowhere/libonnxruntime.so")];
        let told = |named_by| match first_usable(&missing, named_by) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it was loaded"),
        };
        let message = told(Some(VARIABLE));
        assert!(message.contains("/nowhere/"), "{message}");
        assert!(message.contains("ORT_DYLIB_PATH names it"), "{message}");
        assert!(!told(None).contains("nothing else was tried"));
    }

    #[test]
    fn search_goes_outwards_from_the_plugin() {
        let plugin = Path::new("/home/me/lipsync/target/debug/libgstlipsync.so");
        let paths = candidates(None, None, Some(plugin), &[SETUP_CPU]);
        let expected = [
            "/home/me/lipsync/target/debug/libonnxruntime.so.1",
            "/home/me/lipsync/target/debug/libonnxruntime.so",
            "/home/me/lipsync/target/debug/.setup/onnxruntime/libonnxruntime.so",
            "/home/me/lipsync/target/.setup/onnxruntime/libonnxruntime.so",
            "/home/me/lipsync/.setup/onnxruntime/libonnxruntime.so",
            "/home/me/.setup/onnxruntime/libonnxruntime.so",
            "libonnxruntime.so.1",
            "libonnxruntime.so",
        ];
        // After these comes what the system may have.
        assert_eq!(paths[..expected.len()], expected.map(PathBuf::from));
    }

    #[test]
    fn a_plugin_that_is_a_link_finds_what_lies_above_its_file() {
        let folder = env::temp_dir().join(format!("lipsync-plugin-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        for inner in ["repository/target", "plugins"] {
            std::fs::create_dir_all(folder.join(inner)).unwrap();
        }
        let folder = folder.canonicalize().unwrap();
        let link = folder.join("plugins/libgstlipsync.so");
        std::fs::write(folder.join("repository/target/libgstlipsync.so"), "").unwrap();
        std::os::unix::fs::symlink("../repository/target/libgstlipsync.so", &link).unwrap();
        let paths = candidates(None, None, Some(&link), &[SETUP_CPU]);
        let setup = "repository/.setup/onnxruntime/libonnxruntime.so";
        assert!(paths.contains(&folder.join(setup)), "{paths:?}");
        assert_eq!(paths[0], folder.join("plugins/libonnxruntime.so.1"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_build_for_the_provider_comes_before_the_cpus() {
        let plugin = Path::new("/home/lipsync/libgstlipsync.so");
        let paths = candidates(None, None, Some(plugin), &builds(Provider::OpenVino, true));
        let place = |path: &str| paths.iter().position(|found| found == Path::new(path));
        let openvino = place("/home/lipsync/.setup/openvino/libonnxruntime.so").unwrap();
        let cpu = place("/home/lipsync/.setup/onnxruntime/libonnxruntime.so").unwrap();
        assert!(openvino < cpu);
        assert!(place("/home/lipsync/.setup/cuda/libonnxruntime.so").is_none());
        assert_eq!(builds(Provider::Cpu, true), [SETUP_CPU]);
        assert_eq!(builds(Provider::TensorRt, false)[0], SETUP_CUDA);
        assert_eq!(builds(Provider::Auto, true)[0], SETUP_CUDA);
        // A build for a GPU would keep one that works from being loaded.
        assert_eq!(builds(Provider::Auto, false)[0], SETUP_OPENVINO);
    }

    #[test]
    fn debians_library_is_found_by_the_version_in_its_name() {
        let folder = env::temp_dir().join(format!("lipsync-library-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(newest_in(&folder), None);
        for name in ["1.9", "1.21.0", "1.21", "1.x", "2.1"] {
            std::fs::write(folder.join(format!("libonnxruntime.so.{name}")), "").unwrap();
        }
        std::fs::write(folder.join("libonnxruntime_providers_shared.so"), "").unwrap();
        let newest = newest_in(&folder).unwrap();
        assert!(newest.to_str().unwrap().contains("libonnxruntime.so.1.21"));
        assert_eq!(newest_in(&folder.join("none")), None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn bare_names_are_left_to_the_loader() {
        assert_eq!(anchored(Path::new("libx.so")), Path::new("libx.so"));
        assert!(anchored(Path::new("./folder/libx.so")).is_absolute());
    }
}
