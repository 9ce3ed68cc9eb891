//! The page in a browser. Needs Debian's `chromium` and, from PyPI, `playwright`, as `.ci/run` installs them.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    outages::{port, sender},
    server::Server,
    support::{folder, root},
};

/// A Python that has Playwright.
fn python() -> Option<&'static str> {
    let candidates = [".setup/playwright/bin/python", "python3"];
    let has_playwright = |python: &&str| {
        let mut command = Command::new(python);
        command
            .current_dir(root())
            .args(["-c", "import playwright.sync_api"])
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = candidates.into_iter().find(has_playwright);
    if found.is_none() || !Path::new("/usr/bin/chromium").exists() {
        eprintln!(
            "skipped: no Chromium (Debian: chromium), or no Playwright in .setup/playwright or Python's own modules"
        );
        return None;
    }
    found
}

#[test]
fn the_page_shows_and_controls_the_programme() {
    let (Some(folder), Some(python)) = (folder("browser"), python()) else {
        return;
    };
    const TOKEN: &str = "correct-horse-battery";
    fs::write(folder.join("token"), TOKEN).unwrap();
    let port = port();
    let sink = format!("udpsink host=127.0.0.1 port={port}");
    let mut sending = Some(sender(&sink));
    let server = Server::start(&folder, &["--input", &format!("udp://127.0.0.1:{port}")]);
    let guarded = Server::start(&folder, &["--input", "test", "--token-file", "token"]);
    let [open, guarded] = [&server, &guarded].map(|server| format!("http://{}/", server.address));
    let mut browser = Command::new("timeout")
        .arg("150")
        .arg(python)
        .arg("cli/tests/serve/browser.py")
        .args([&open, &guarded, TOKEN])
        .arg(&folder)
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(browser.stdout.take().unwrap()).lines() {
        match line.unwrap().as_str() {
            "kill" => sending = None,
            "revive" => sending = Some(sender(&sink)),
            line => println!("{line}"),
        }
    }
    assert!(browser.wait().unwrap().success());
    drop(sending);
}
