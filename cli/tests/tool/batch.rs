//! `examples/batch/`: the Dask program for real, with a worker killed in the middle; the scripts for what a shell can tell.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{FRAMES, H264, SMALL, folder, names, program, root, video, written};

const DASK: &str = "distributed==2025.1.0";

/// A Python with Dask; `None`, with the reason printed, where that cannot be had.
fn python() -> Option<PathBuf> {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dask");
    let python = home.join("bin/python");
    let succeeds = |command: &mut Command| {
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let is_there = || succeeds(Command::new(&python).args(["-c", "import distributed"]));
    if is_there() {
        return Some(python);
    }
    let made = succeeds(Command::new("python3").args(["-m", "venv"]).arg(&home))
        && succeeds(
            Command::new("timeout")
                .arg("90")
                .arg(&python)
                .args(["-m", "pip", "install", "-q", DASK]),
        )
        && is_there();
    if !made {
        eprintln!("skipped: python3 -m venv and pip install {DASK} do not succeed here");
    }
    made.then_some(python)
}

/// Process ids of the jobs of this folder, and of their parents.
fn jobs(folder: &Path) -> Vec<(String, String)> {
    let listing = Command::new("ps")
        .args(["-eo", "pid=,ppid=,args="])
        .output()
        .unwrap();
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let table = folder.join("jobs.tsv").display().to_string();
    let ours = listing
        .lines()
        .filter(|line| line.contains(&table) && line.contains("--die-with-parent"));
    ours.filter_map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.next()?))
    })
    .collect()
}

#[test]
fn a_dask_cluster_loses_a_worker_and_no_file() {
    const JOBS: usize = 4;
    let Some(folder) = folder("dask") else { return };
    let Some(python) = python() else { return };
    video(SMALL, H264, "mp4mux", &folder.join("in.mp4"));
    let rows = (0..JOBS).map(|index| format!("in.mp4\tout{index}.mp4\n"));
    fs::write(
        folder.join("jobs.tsv"),
        format!("video\toutput\n{}", rows.collect::<String>()),
    )
    .unwrap();
    let settings = program(&folder);
    let mut cluster = Command::new("timeout");
    for (name, value) in settings.get_envs() {
        cluster.env(name, value.unwrap());
    }
    let mut cluster = cluster
        .arg("110")
        .arg(python)
        .arg(root().join("examples/batch/dask_jobs.py"))
        .arg("jobs.tsv")
        .env("GST_LIPSYNC", env!("CARGO_BIN_EXE_gst-lipsync"))
        .current_dir(&folder)
        .stdout(fs::File::create(folder.join("log")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // While a file is half-written.
    while !names(&folder).iter().any(|name| name.ends_with(".part"))
        && cluster.try_wait().unwrap().is_none()
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, worker) = jobs(&folder).into_iter().next().expect("a job is running");
    assert!(
        Command::new("kill")
            .args(["-KILL", &worker])
            .status()
            .unwrap()
            .success()
    );
    assert!(
        cluster.wait().unwrap().success(),
        "{}",
        fs::read_to_string(folder.join("log")).unwrap()
    );
    assert!(jobs(&folder).is_empty());
    let outputs = (0..JOBS).map(|index| format!("out{index}.mp4"));
    let expected: Vec<_> = ["in.mp4", "jobs.tsv", "log"]
        .map(str::to_owned)
        .into_iter()
        .chain(outputs.clone())
        .collect();
    assert_eq!(names(&folder), expected);
    for output in outputs {
        assert_eq!(written(&folder.join(output)).1, FRAMES);
    }
}

#[test]
fn the_slurm_script_does_the_job_of_its_task() {
    let Some(folder) = folder("slurm") else {
        return;
    };
    video(SMALL, H264, "mp4mux", &folder.join("in.mp4"));
    fs::write(
        folder.join("jobs.tsv"),
        "video\toutput\nin.mp4\ta.mp4\nin.mp4\tb.mp4\n",
    )
    .unwrap();
    // Under the name with which it is installed.
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_gst-lipsync"),
        bin.join("gst-lipsync-1.0"),
    )
    .unwrap();
    let settings = program(&folder);
    let mut task = Command::new("timeout");
    for (name, value) in settings.get_envs() {
        task.env(name, value.unwrap());
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let status = task
        .arg("110")
        .arg(root().join("examples/batch/slurm.sh"))
        .arg("jobs.tsv")
        .current_dir(&folder)
        .env("PATH", path)
        .env("SLURM_ARRAY_TASK_ID", "1")
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(written(&folder.join("b.mp4")).1, FRAMES);
    assert!(!folder.join("a.mp4").exists());
}
