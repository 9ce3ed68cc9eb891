//! `gst-lipsync-1.0 --list`: many jobs, one for a scheduler, and starting again.

use std::{fs, path::Path};

use crate::support::{FRAMES, H264, SMALL, folder, names, program, run, video, written};

fn list(folder: &Path) {
    video(SMALL, H264, "mp4mux", &folder.join("a b.mp4"));
    fs::write(folder.join("broken.mp4"), "no film").unwrap();
    let rows = "video\toutput\tstrength\na b.mp4\tone.mp4\t\nbroken.mp4\ttwo.mp4\t\na b.mp4\tdrei ü.mkv\t0.5\n";
    fs::write(folder.join("jobs.tsv"), rows).unwrap();
}

#[test]
fn a_list_goes_on_where_it_stopped() {
    let Some(folder) = folder("list") else { return };
    list(&folder);
    run(&folder, "--list jobs.tsv --jobs 2")
        .ends(5)
        .says("two.mp4: failed")
        .says("one.mp4: done");
    for made in ["one.mp4", "drei ü.mkv"] {
        assert_eq!(written(&folder.join(made)).1, FRAMES);
    }
    let results = fs::read_to_string(folder.join("jobs.results.tsv")).unwrap();
    assert_eq!(results.lines().count(), 4, "{results}");
    assert!(
        results.contains("3\ttwo.mp4\tfailed\t3\t") && results.contains("cannot read broken.mp4"),
        "{results}"
    );

    let made = folder
        .join("one.mp4")
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    fs::copy(folder.join("a b.mp4"), folder.join("broken.mp4")).unwrap();
    run(&folder, "--list jobs.tsv")
        .ends(0)
        .says("two.mp4: done");
    assert_eq!(
        folder
            .join("one.mp4")
            .metadata()
            .unwrap()
            .modified()
            .unwrap(),
        made
    );
    let results = fs::read_to_string(folder.join("jobs.results.tsv")).unwrap();
    assert_eq!(results.lines().count(), 5, "{results}");
    assert!(names(&folder).iter().all(|name| !name.ends_with(".part")));
}

#[test]
fn a_scheduler_names_the_job_by_its_index() {
    let Some(folder) = folder("index") else {
        return;
    };
    list(&folder);
    run(&folder, "--list jobs.tsv --index 2").ends(0);
    assert_eq!(written(&folder.join("drei ü.mkv")).1, FRAMES);
    run(&folder, "--list jobs.tsv --index 2")
        .ends(0)
        .says("exists already");
    run(&folder, "--list jobs.tsv --index 3")
        .ends(2)
        .says("has no job 3, only 0 to 2");
    run(&folder, "--list jobs.tsv --index")
        .ends(2)
        .says("SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX");
    for (variable, index, code) in [
        ("SLURM_ARRAY_TASK_ID", "1", 3),
        ("JOB_COMPLETION_INDEX", "0", 0),
    ] {
        let status = program(&folder)
            .args(["--list", "jobs.tsv", "--index"])
            .env(variable, index)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{variable}");
    }
    assert_eq!(written(&folder.join("one.mp4")).1, FRAMES);
}
