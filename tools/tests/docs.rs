//! The documentation: what is made from the elements is up to date, links lead somewhere, messages are those of the
//! programs, and the site builds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files with this extension in a folder and those in it.
fn files_in(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files
}

fn pages() -> Vec<PathBuf> {
    files_in(&root().join("docs"), "md")
}

#[test]
fn what_is_made_from_the_elements_is_up_to_date() {
    for (name, text) in lipsync_tools::reference::files().unwrap() {
        let path = root().join("docs").join(&name);
        let found = fs::read_to_string(&path).unwrap_or_default();
        let line = text
            .lines()
            .zip(found.lines())
            .find(|(new, old)| new != old);
        assert!(
            found == text,
            "docs/{name} is not what the elements say, run `cargo xtask docs`; first difference: {line:?}"
        );
    }
}

/// Lines outside code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let docs = root().join("docs");
    let others = [
        "README.md",
        "CONTRIBUTING.md",
        "tools/README.md",
        "examples/python/README.md",
    ];
    let others = others.map(|name| root().join(name));
    let mut broken = Vec::new();
    for page in pages().into_iter().chain(others) {
        let text = read(&page);
        for line in prose(&text) {
            for link in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                if path.contains("://") {
                    continue;
                }
                let target = match path {
                    "" => page.clone(),
                    _ => page.parent().unwrap().join(path),
                };
                // A page of the site cannot lead out of it.
                let leaves = page.starts_with(&docs)
                    && path.starts_with("../")
                    && !page.starts_with(docs.join("elements"));
                let has_anchor = anchor.is_empty()
                    || target.is_file() && anchors(&read(&target)).contains(anchor);
                if leaves || !target.exists() || !has_anchor {
                    broken.push(format!("{}: {link}", page.display()));
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "these lead nowhere, or out of the site (files of the repository are named as code there): {broken:#?}"
    );
}

#[test]
fn every_page_is_in_the_summary_once() {
    let summary = root().join("docs/SUMMARY.md");
    let mut listed = BTreeMap::new();
    for link in read(&summary)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        *listed.entry(summary.with_file_name(link)).or_insert(0) += 1;
    }
    let expected: BTreeMap<_, _> = pages()
        .into_iter()
        .filter(|page| *page != summary)
        .map(|page| (page, 1))
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn symptoms_are_what_the_programs_say() {
    // Texts over several lines as one.
    let joined = |text: String| -> String {
        let mut lines = text.split("\\\n");
        let first = lines.next().unwrap_or_default().to_owned();
        lines.fold(first, |text, line| text + line.trim_start())
    };
    let sources: String = ["src", "core/src", "cli/src"]
        .iter()
        .flat_map(|folder| files_in(&root().join(folder), "rs"))
        .map(|path| joined(read(&path)))
        .collect();
    let page = read(&root().join("docs/troubleshooting.md"));
    let mut quoted = 0;
    for line in prose(&page).filter(|line| line.starts_with("| `")) {
        let symptom = line[3..].split("` |").next().unwrap();
        for part in symptom
            .split("...")
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            assert!(sources.contains(part), "no program says: {part}");
            quoted += 1;
        }
    }
    assert!(quoted > 20);
}

#[test]
fn the_site_builds_without_a_warning() {
    if Command::new("mdbook").arg("--version").output().is_err() {
        eprintln!("skipped: mdbook is not installed, run `cargo install mdbook`");
        return;
    }
    let site = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("book");
    let output = Command::new("mdbook")
        .arg("build")
        .arg(root().join("docs"))
        .arg("--dest-dir")
        .arg(&site)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("WARN"), "{said}");
    for page in [
        "index.html",
        "elements/lipsync.html",
        "troubleshooting.html",
    ] {
        assert!(site.join(page).is_file(), "{page}");
    }
}
