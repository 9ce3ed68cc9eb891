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
    let whip = self::port().to_string();
    let output = format!("http://127.0.0.1:{whip}/moved");
    let tokens = ["--token-file", "token", "--whip-token-file", "token"];
    let words = [&["--input", "test", "--output", &output], &tokens[..]];
    let guarded = Server::start(&folder, &words.concat());
    let page = |server: &Server| format!("http://{}/", server.address);
    let (open, closed) = (page(&server), page(&guarded));
    let mut guarded = Some(guarded);
    let mut browser = Command::new("timeout")
        .arg("150")
        .arg(python)
        .arg("cli/tests/serve/browser.py")
        .args([&open, &closed, TOKEN, &whip])
        .arg(&folder)
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(browser.stdout.take().unwrap()).lines() {
        match line.unwrap().as_str() {
            "kill" => sending = None,
            "end" => assert_eq!(guarded.take().unwrap().end(), Some(0)),
            "revive" => sending = Some(sender(&sink)),
            line => println!("{line}"),
        }
    }
    assert!(browser.wait().unwrap().success());
    drop(sending);
}
