//! Licences of the Rust libraries that plugin and tool are built from: their terms ask for being passed on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{plugin, process};

const PACKED: [&str; 2] = ["gst-plugin-lipsync", "gst-lipsync"];
/// How names of files with licences begin, in lower case.
const FILES: [&str; 5] = ["license", "licence", "copying", "notice", "copyright"];

/// All of them with their licences, then the texts.
pub fn of_libraries() -> Result<String> {
    let platform = format!("--filter-platform={}", host()?);
    let mut cargo = plugin::cargo(&["metadata", "--format-version=1", &platform]);
    let output = cargo.output().context("cannot start cargo")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed:\n{errors}", process::shown(&cargo));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let libraries =
        libraries(&metadata).context("cargo metadata has another form than expected")?;
    text(&libraries)
}

/// For what cargo builds unless told otherwise.
fn host() -> Result<String> {
    let version = process::output_of(Command::new("rustc").arg("-vV"));
    let version = version.context("rustc does not say for what it builds")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// What the packed programs are linked to, of others; sorted.
fn libraries(metadata: &Value) -> Option<Vec<&Value>> {
    let packages = by_id(&metadata["packages"])?;
    let nodes = by_id(&metadata["resolve"]["nodes"])?;
    let is_packed = |name: &Value| PACKED.iter().any(|packed| name == packed);
    let mut pending: Vec<&str> = packages
        .iter()
        .filter(|(_, package)| is_packed(&package["name"]) && package["source"].is_null())
        .map(|(id, _)| *id)
        .collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = pending.pop() {
        if !reached.insert(id) {
            continue;
        }
        for dependency in nodes.get(id)?["deps"].as_array()? {
            let kinds = dependency["dep_kinds"].as_array()?;
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                pending.push(dependency["pkg"].as_str()?);
            }
        }
    }
    let found: Option<Vec<_>> = reached
        .into_iter()
        .map(|id| packages.get(id).copied())
        .collect();
    let mut found: Vec<_> = found?
        .into_iter()
        .filter(|package| !package["source"].is_null())
        .collect();
    found.sort_by_key(|package| title(package));
    Some(found)
}

fn by_id(list: &Value) -> Option<BTreeMap<&str, &Value>> {
    list.as_array()?
        .iter()
        .map(|entry| Some((entry["id"].as_str()?, entry)))
        .collect()
}

fn title(package: &Value) -> String {
    let word = |field: &str| package[field].as_str().unwrap_or_default();
    format!("{} {}", word("name"), word("version"))
}

fn text(libraries: &[&Value]) -> Result<String> {
    let mut list = String::from(
        "Rust libraries in the plugin and the program, with their licences; the texts follow.\n\n",
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in libraries {
        let title = title(package);
        let licence = package["license"].as_str().unwrap_or("see its text");
        let found = texts_of(package)?;
        let place = match found.is_empty() {
            true => package["repository"].as_str().unwrap_or_default(),
            false => "",
        };
        writeln!(list, "{title}: {licence} {place}")?;
        for text in found {
            texts.entry(text).or_default().push(title.clone());
        }
    }
    for (text, titles) in texts {
        write!(list, "\n{:=<78}\n{}\n\n{text}\n", "", titles.join(", "))?;
    }
    Ok(list)
}

/// Of the files with licences beside a library's Cargo.toml.
fn texts_of(package: &Value) -> Result<Vec<String>> {
    let manifest = package["manifest_path"].as_str().unwrap_or_default();
    let folder = Path::new(manifest)
        .parent()
        .context("a manifest lies in a folder")?;
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if FILES.iter().any(|start| name.starts_with(start)) && entry.path().is_file() {
            let text = fs::read(entry.path())?;
            texts.push(
                String::from_utf8_lossy(&text)
                    .replace('\r', "")
                    .trim()
                    .to_owned(),
            );
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_listed_with_its_text_and_nothing_else() {
        let text = of_libraries().unwrap();
        let (list, texts) = text.split_once("\n===").unwrap();
        for linked in [
            "ort 2",
            "gstreamer 0.25",
            "tonic 0.14",
            "clap 4",
            "ring 0.17",
        ] {
            assert!(list.contains(&format!("\n{linked}")), "{linked}: {list}");
            assert!(texts.contains(linked), "{linked} has no text");
        }
        for other in [
            "\nproptest ",
            "\nplotters ",
            "\ngst-plugin-lipsync ",
            "\ngst-plugin-version-helper ",
        ] {
            assert!(!list.contains(other), "{other}");
        }
        assert!(texts.contains("THE SOFTWARE IS PROVIDED"));
    }
}
