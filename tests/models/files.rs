//! Models that consist of several files: weights beside the network, files kept as links, and what
//! a manifest's hashes cover.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    onnx::{self, Dim, Linear, NOTHING},
    opening,
};
use lipsync_core::{
    Error, assembly,
    catalogue::Source,
    generator,
    inference::{self, ModelSource, Network},
};

/// An empty folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = opening::folder("model_files", name);
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn has_runtime() -> bool {
    let loaded = inference::onnx::load(None, inference::Provider::Cpu);
    if let Err(err) = &loaded {
        println!("skipped: {err}");
    }
    loaded.is_ok()
}

/// A network of Wav2Lip's shape that draws one value, and the file with its weights.
fn network(value: f32, location: &str) -> [Vec<u8>; 2] {
    let network = Linear {
        size: 32,
        batch: Dim::Fixed(1),
        names: ["mel", "face", "drawn"],
        channels: [NOTHING; 3],
        hears: [1, 80, 16],
        window: vec![0.0; 3 * 80 * 16],
        bias: [value; 3],
    };
    network.with_weights_in(location)
}

/// Writes `net.onnx` and `net.onnx.data`; their contents.
fn write(folder: &Path, value: f32) -> [Vec<u8>; 2] {
    let [model, data] = network(value, "net.onnx.data");
    fs::write(folder.join("net.onnx"), &model).unwrap();
    fs::write(folder.join("net.onnx.data"), &data).unwrap();
    [model, data]
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let digits = |byte: &u8| format!("{byte:02x}");
    Sha256::digest(bytes).iter().map(digits).collect()
}

/// Opens the folder with a manifest whose generator is this table.
fn open_with(folder: &Path, generator: &str) -> Result<generator::OpenGenerator, Error> {
    let manifest = format!(
        "version = 1\nfamily = \"wav2lip\"\nname = \"a test\"\nlicence = \"MPL-2.0\"\n\
         source = \"here\"\nfiles.generator = {{ {generator} }}\n"
    );
    fs::write(folder.join("manifest.toml"), manifest).unwrap();
    open(folder)
}

fn open(path: &Path) -> Result<generator::OpenGenerator, Error> {
    assembly::open_generator(&Source::Path(path.into()), &inference::Options::default())
}

/// The reason for which a model is not read.
fn reason<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::ModelUnreadable { reason, .. }) => reason,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was opened"),
    }
}

fn run(path: &Path) -> Box<dyn Network> {
    let opened =
        inference::onnx::open(ModelSource::File(path), &inference::Options::default(), &[]);
    let mut network = opened.unwrap().network;
    network.run().unwrap();
    network
}

#[test]
fn a_hash_of_the_network_alone_does_not_let_any_weights_pass() {
    if !has_runtime() {
        return;
    }
    let folder = folder("hash");
    let [model, data] = write(&folder, 0.5).map(|bytes| sha256(&bytes));
    let unpinned = format!("path = \"net.onnx\", sha256 = \"{model}\"");
    // With what there is to write into the manifest.
    let reason_of_missing = reason(open_with(&folder, &unpinned));
    for part in [
        "none for its weights",
        &data,
        "data = [{ path = \"net.onnx.data\"",
    ] {
        assert!(reason_of_missing.contains(part), "{reason_of_missing}");
    }
    let pinned = |path: &str, hash: &str| {
        format!("{unpinned}, data = [{{ path = \"{path}\", sha256 = \"{hash}\" }}]")
    };
    open_with(&folder, &pinned("net.onnx.data", &data)).unwrap();
    open_with(&folder, &pinned("./net.onnx.data", &data.to_uppercase())).unwrap();

    let [_, other] = write(&folder, 0.25).map(|bytes| sha256(&bytes));
    let reason_of_change = reason(open_with(&folder, &pinned("net.onnx.data", &data)));
    for part in ["weights in `net.onnx.data`", &data, &other] {
        assert!(reason_of_change.contains(part), "{reason_of_change}");
    }
    // Without a hash any weights do; a hash that is given counts all the same.
    open_with(&folder, "path = \"net.onnx\", sha256 = \"\"").unwrap();
    let loose = pinned("net.onnx.data", &data).replace(&model, "");
    assert!(reason(open_with(&folder, &loose)).contains(&other));

    for (data, part) in [
        ("", "\"\", 64 hexadecimal digits are expected"),
        ("0123", "\"0123\", 64 hexadecimal digits"),
    ] {
        let reason = reason(open_with(&folder, &pinned("net.onnx.data", data)));
        assert!(reason.contains(part), "{reason}");
        assert!(reason.contains("net.onnx.data"), "{reason}");
    }
    fs::write(folder.join("spare.data"), "spare").unwrap();
    let spare = sha256(b"spare");
    let both = pinned("net.onnx.data", &other).replace(
        "data = [",
        &format!("data = [{{ path = \"spare.data\", sha256 = \"{spare}\" }}, "),
    );
    let reason_of_spare = reason(open_with(&folder, &both));
    assert!(reason_of_spare.contains("spare.data"), "{reason_of_spare}");
    assert!(
        reason_of_spare.contains("its weights are in net.onnx.data"),
        "{reason_of_spare}"
    );
    let outside = reason(open_with(&folder, &pinned("../net.onnx.data", &other)));
    assert!(outside.contains("outside its own folder"), "{outside}");
    match open_with(&folder, &pinned("none.data", &other)) {
        Err(Error::ModelNotFound { path, .. }) => assert_eq!(path, folder.join("none.data")),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[test]
fn the_same_network_with_other_weights_is_another_network() {
    if !has_runtime() {
        return;
    }
    let folder = folder("weights");
    let path = folder.join("net.onnx");
    let [before, _] = write(&folder, 0.5);
    let mut first = run(&path);
    assert_eq!(first.output(0)[0], 0.5);
    // In place, as `cp` does it, while the first one is there.
    let [after, _] = write(&folder, 0.25);
    assert_eq!(before, after, "only the weights are others");
    let second = run(&path);
    assert_eq!(second.output(0)[0], 0.25);
    first.run().unwrap();
    assert_eq!(first.output(0)[0], 0.5);
    // Nor does it need its files any more.
    fs::write(folder.join("net.onnx.data"), "").unwrap();
    first.run().unwrap();
    assert_eq!(first.output(0)[0], 0.5);
}

#[test]
fn weights_that_are_cut_off_are_told_with_what_was_found() {
    if !has_runtime() {
        return;
    }
    let folder = folder("cut-off");
    let [_, data] = write(&folder, 0.5);
    let short = &data[..data.len() - 1];
    fs::write(folder.join("net.onnx.data"), short).unwrap();
    let reason = reason(open(&folder.join("net.onnx")));
    for part in [
        "net.onnx.data",
        &format!("has {} bytes", short.len()),
        "bias",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
}

/// A model hub's cache: the files lie under their hashes in `blobs`, and what a user names are
/// links to them. The folder with the links.
fn hub(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let (blobs, snapshot) = (folder.join("blobs"), folder.join("snapshots/0a1b2c"));
    fs::create_dir_all(&blobs).unwrap();
    for (name, content) in files {
        let (link, blob) = (snapshot.join(name), sha256(content));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::write(blobs.join(&blob), content).unwrap();
        let up = "../".repeat(2 + name.matches('/').count());
        symlink(format!("{up}blobs/{blob}"), link).unwrap();
    }
    snapshot
}

#[test]
fn models_that_are_kept_as_links_are_opened_with_what_belongs_to_them() {
    if !has_runtime() {
        return;
    }
    let [model, data] = network(0.5, "net.onnx.data");
    let hashes = [&model, &data].map(|bytes| sha256(bytes));
    let manifest = format!(
        "version = 1\nfamily = \"wav2lip\"\nname = \"linked\"\nlicence = \"MPL-2.0\"\n\
         source = \"here\"\n[files.generator]\npath = \"onnx/net.onnx\"\nsha256 = \"{}\"\n\
         data = [{{ path = \"onnx/net.onnx.data\", sha256 = \"{}\" }}]\n",
        hashes[0], hashes[1]
    );
    let unet = Linear {
        size: 320,
        batch: Dim::Fixed(1),
        names: ["audio", "input", "output"],
        channels: [NOTHING; 3],
        hears: [32, 16, 16],
        window: vec![0.0; 3 * 32 * 16 * 16],
        bias: [0.0; 3],
    };
    let folder = folder("hub");
    let snapshot = hub(
        &folder,
        &[
            ("onnx/net.onnx", &model),
            ("onnx/net.onnx.data", &data),
            ("manifest.toml", manifest.as_bytes()),
            ("unet.onnx", &unet.bytes()),
            ("unet-ave.onnx", &onnx::encoder(["mel", "features"], 512)),
        ],
    );
    let network = run(&snapshot.join("onnx/net.onnx"));
    assert_eq!(network.output(0)[0], 0.5);
    for (path, name) in [
        ("onnx/net.onnx", "wav2lip (net.onnx)"),
        ("unet.onnx", "unet (unet.onnx)"),
        ("manifest.toml", "linked"),
        ("", "linked"),
    ] {
        let opened = open(&snapshot.join(path)).unwrap_or_else(|err| panic!("{path}: {err}"));
        assert_eq!(opened.generator.name(), name);
    }
    // A link to the network alone, which has its weights where it lies.
    let plain = folder.join("plain");
    fs::create_dir_all(&plain).unwrap();
    write(&plain, 0.25);
    symlink("plain/net.onnx", folder.join("current.onnx")).unwrap();
    assert_eq!(run(&folder.join("current.onnx")).output(0)[0], 0.25);
}

#[test]
fn links_that_lead_to_neither_folder_are_refused() {
    if !has_runtime() {
        return;
    }
    let [model, data] = network(0.5, "net.onnx.data");
    let folder = folder("leads-away");
    let snapshot = hub(&folder, &[("net.onnx", &model)]);
    fs::write(folder.join("secret"), &data).unwrap();
    for target in ["../../secret", "/proc/self/exe", "../../none"] {
        let link = snapshot.join("net.onnx.data");
        let _ = fs::remove_file(&link);
        symlink(target, link).unwrap();
        let reason = reason(open(&snapshot.join("net.onnx")));
        assert!(reason.contains("`net.onnx.data`"), "{reason}");
        let expected = match target {
            "../../none" => "cannot be read",
            _ => "outside its own folder",
        };
        assert!(reason.contains(expected), "{reason}");
    }
}
