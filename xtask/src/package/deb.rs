//! One Debian package: a folder with its files as they will lie under `/`, packed by dpkg-deb. Modes, times and owners
//! are set here, so that nothing of this machine is in it.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};

use super::commit::Commit;
use crate::{process, setup};

pub struct Deb {
    name: &'static str,
    /// What will be `/`.
    root: PathBuf,
    /// What libraries are looked for in.
    binaries: Vec<PathBuf>,
}

impl Deb {
    /// An empty package; its files lie in a folder of `staging` meanwhile.
    pub fn new(name: &'static str, staging: &Path) -> Result<Self> {
        let root = staging.join(name);
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot empty {}", root.display()))?;
        }
        let package = Self {
            name,
            root,
            binaries: Vec::new(),
        };
        let copyright = data(&format!("{name}.copyright"))?;
        package.text(copyright.as_bytes(), &package.documents("copyright"))?;
        Ok(package)
    }

    /// A program or library; what it is linked to is what the package depends on. `path` is relative to `/`.
    pub fn binary(&mut self, from: &Path, path: &str) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let mode = match path.starts_with("usr/bin/") {
            true => 0o755,
            false => 0o644,
        };
        self.binaries.push(self.put(&bytes, path, mode)?);
        Ok(())
    }

    pub fn text(&self, text: &[u8], path: &str) -> Result<()> {
        self.put(text, path, 0o644).map(drop)
    }

    /// Written as `path` with `.gz` behind it.
    pub fn gzipped(&self, text: &[u8], path: &str) -> Result<()> {
        let packed = piped(Command::new("gzip").args(["-9", "--no-name"]), text)?;
        self.text(&packed, &format!("{path}.gz"))
    }

    /// Something to read, in the package's folder of documents.
    pub fn document(&self, name: &str, text: &[u8]) -> Result<()> {
        self.gzipped(text, &self.documents(name))
    }

    fn documents(&self, name: &str) -> String {
        format!("usr/share/doc/{}/{name}", self.name)
    }

    fn put(&self, bytes: &[u8], path: &str, mode: u32) -> Result<PathBuf> {
        let file = self.root.join(path);
        let cannot = || format!("cannot write {}", file.display());
        let folder = file.parent().with_context(cannot)?;
        fs::create_dir_all(folder).with_context(cannot)?;
        fs::write(&file, bytes).with_context(cannot)?;
        fs::set_permissions(&file, Permissions::from_mode(mode)).with_context(cannot)?;
        Ok(file)
    }

    /// Writes the package into the folder `out`.
    pub fn build(&self, commit: &Commit, out: &Path) -> Result<PathBuf> {
        let architecture = process::output_of(Command::new("dpkg").arg("--print-architecture"))
            .context("dpkg does not say for which architecture it is")?;
        let architecture = architecture.trim();
        let files = files_in(&self.root)?;
        let kilobytes: u64 = files.iter().map(|(_, bytes)| bytes.div_ceil(1024)).sum();
        let control = data(&format!("{}.control", self.name))?
            .replace("${Version}", &commit.version)
            .replace("${Architecture}", architecture)
            .replace("${Installed-Size}", &kilobytes.to_string())
            .replace("${shlibs:Depends}", &self.libraries()?);
        if let Some((_, unknown)) = control.split_once("${") {
            bail!("{}.control has ${{{unknown}", self.name);
        }
        self.text(control.as_bytes(), "DEBIAN/control")?;
        self.text(self.sums(&files)?.as_bytes(), "DEBIAN/md5sums")?;
        settle(&self.root, UNIX_EPOCH + Duration::from_secs(commit.seconds))?;
        let file = out.join(format!(
            "{}_{}_{architecture}.deb",
            self.name, commit.version
        ));
        // One thread: how many there are may show in the bytes.
        process::run(
            Command::new("dpkg-deb")
                .env("SOURCE_DATE_EPOCH", commit.seconds.to_string())
                .args(["--root-owner-group", "-Zxz", "--threads-max=1", "--build"])
                .args([&self.root, &file])
                .stdout(Stdio::null()),
        )?;
        Ok(file)
    }

    /// Packages with the libraries that the binaries are linked to, with the oldest versions that do.
    fn libraries(&self) -> Result<String> {
        // It wants to be in the folder of a source package.
        let source = self.root.with_file_name("source");
        fs::create_dir_all(source.join("debian"))?;
        fs::write(
            source.join("debian/control"),
            format!(
                "Source: {0}\n\nPackage: {0}\nArchitecture: any\n",
                self.name
            ),
        )?;
        let mut find = Command::new("dpkg-shlibdeps");
        find.current_dir(&source).arg("-O").args(&self.binaries);
        let output = find.output().context("cannot start dpkg-shlibdeps")?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim()
            .strip_prefix("shlibs:Depends=")
            .filter(|_| output.status.success())
            .map(str::to_owned)
            .with_context(|| {
                let errors = String::from_utf8_lossy(&output.stderr);
                format!("`{}` failed:\n{errors}", process::shown(&find))
            })
    }

    /// As `dpkg --verify` reads them.
    fn sums(&self, files: &[(PathBuf, u64)]) -> Result<String> {
        let mut md5sum = Command::new("md5sum");
        md5sum
            .current_dir(&self.root)
            .args(files.iter().map(|(path, _)| path));
        process::output_of(&mut md5sum).context("md5sum failed")
    }
}

const UNIX_EPOCH: SystemTime = SystemTime::UNIX_EPOCH;

/// What a package says of itself.
fn data(name: &str) -> Result<String> {
    let path = setup::root().join("packaging/debian").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What a program makes of text.
fn piped(command: &mut Command, text: &[u8]) -> Result<Vec<u8>> {
    let cannot = format!("`{}` failed", process::shown(command));
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(cannot.clone())?;
    let mut input = running.stdin.take().context(cannot.clone())?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(text));
        running.wait_with_output()
    })?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => bail!(cannot),
    }
}

/// Paths of all files relative to the folder, sorted, and their sizes in bytes.
fn files_in(folder: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    walk(folder, &mut |path, data| {
        if let Ok(path) = path.strip_prefix(folder)
            && data.is_file()
        {
            files.push((path.to_owned(), data.len()));
        }
        Ok(())
    })?;
    files.sort();
    Ok(files)
}

/// Gives everything that time, and folders the mode that they have in Debian.
fn settle(folder: &Path, time: SystemTime) -> Result<()> {
    walk(folder, &mut |path, data| {
        if data.is_dir() {
            fs::set_permissions(path, Permissions::from_mode(0o755))?;
        }
        File::open(path)?
            .set_modified(time)
            .with_context(|| format!("cannot set the time of {}", path.display()))
    })
}

/// Visits what is in a folder, and the folder itself last.
fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<()>) -> Result<()> {
    let data = path.symlink_metadata()?;
    if data.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), visit)?;
        }
    }
    visit(path, &data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::is_installed;

    fn package(staging: &Path) -> Deb {
        let _ = fs::remove_dir_all(staging);
        let mut package = Deb::new(super::super::PLUGIN, staging).unwrap();
        package
            .binary(Path::new("/bin/true"), "usr/bin/program")
            .unwrap();
        package.document("NOTICE", b"words").unwrap();
        package
    }

    #[test]
    fn the_same_files_give_the_same_bytes_on_another_day_in_another_folder() {
        for needed in ["dpkg-deb", "dpkg-shlibdeps", "md5sum", "gzip"] {
            if !is_installed(needed) {
                eprintln!("skipped: {needed} is not installed");
                return;
            }
        }
        let folder = std::env::temp_dir().join(format!("xtask-deb-{}", std::process::id()));
        let commit = Commit {
            seconds: 1_000_000_000,
            version: "1.2.3".into(),
            is_changed: false,
        };
        let bytes = ["one", "another"].map(|name| {
            let package = package(&folder.join(name));
            // As a umask of 077 leaves it.
            let documents = package.root.join("usr/share/doc");
            fs::set_permissions(documents, Permissions::from_mode(0o700)).unwrap();
            fs::read(package.build(&commit, &folder).unwrap()).unwrap()
        });
        assert!(bytes[0] == bytes[1]);

        let file = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let file = file
            .into_iter()
            .find(|path| path.extension().is_some())
            .unwrap();
        let told = |words: &[&str]| {
            process::output_of(Command::new("dpkg-deb").args(words).arg(&file)).unwrap()
        };
        let depends = told(&["--show", "--showformat=${Depends} ${Version}"]);
        assert!(
            depends.contains("libc6 (>= ") && depends.ends_with(" 1.2.3"),
            "{depends}"
        );
        let listing = told(&["--contents"]);
        for line in listing.lines() {
            let mode = match line.ends_with('/') {
                true => "drwxr-xr-x root/root",
                false if line.ends_with("usr/bin/program") => "-rwxr-xr-x root/root",
                false => "-rw-r--r-- root/root",
            };
            assert!(
                line.starts_with(mode) && line.contains(" 2001-09-09 "),
                "{line}"
            );
        }
        assert!(
            listing.contains("/usr/share/doc/gstreamer1.0-lipsync/NOTICE.gz"),
            "{listing}"
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
