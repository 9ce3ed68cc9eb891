//! Many jobs from a table: some at once on this machine, or one of them for a scheduler that counts.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    PROGRAM,
    arguments::Arguments,
    exit::{Exit, Failure, Reason},
    interrupt, job,
};

/// What schedulers call the number of a job.
const INDEX_VARIABLES: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];
/// Options of the list itself, and whether a value follows; jobs have all others.
const OF_THE_LIST: [(&str, bool); 3] = [("--list", true), ("--jobs", true), ("--index", false)];

/// One row.
struct Job {
    line: usize,
    words: Vec<OsString>,
    arguments: Arguments,
}

/// Does the jobs of a list, or the one with the index.
pub fn run(arguments: &Arguments, list: &Path) -> Result<Exit, Failure> {
    let common = common_words(std::env::args_os().skip(1));
    let jobs = read(list, &common).exit(Exit::Usage)?;
    let Some(index) = arguments.index else {
        return run_all(&jobs, arguments, list);
    };
    let index = index
        .map_or_else(index_from_environment, Ok)
        .exit(Exit::Usage)?;
    let job = jobs.get(index).with_context(|| {
        format!(
            "{} has no job {index}, only 0 to {}",
            list.display(),
            jobs.len().saturating_sub(1)
        )
    });
    let job = job.exit(Exit::Usage)?;
    if job.is_done() {
        eprintln!("{PROGRAM}: {} exists already", job.output());
        return Ok(Exit::Success);
    }
    match job::run(&job.arguments) {
        // Another attempt at it was faster.
        Err(_) if job.is_done() => Ok(Exit::Success),
        result => result.map(|()| Exit::Success),
    }
}

fn index_from_environment() -> Result<usize> {
    let found = INDEX_VARIABLES
        .iter()
        .find_map(|name| Some((name, std::env::var(name).ok()?)));
    let (name, value) = found.with_context(|| {
        format!(
            "--index without a number needs {}",
            INDEX_VARIABLES.join(" or ")
        )
    })?;
    value
        .parse()
        .with_context(|| format!("{name}={value} is no number of a job"))
}

/// The words of the command line that hold for each job.
fn common_words(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut common = Vec::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let own = OF_THE_LIST.iter().find(|(name, _)| {
            text == *name
                || text
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('='))
        });
        match own {
            None => common.push(word),
            Some((name, takes_value)) if text == *name => {
                let is_number = |word: &OsString| word.to_string_lossy().parse::<usize>().is_ok();
                if *takes_value || words.peek().is_some_and(is_number) {
                    words.next();
                }
            }
            Some(_) => (),
        }
    }
    common
}

/// # Errors
/// What is wrong with which line, before any job has begun.
fn read(list: &Path, common: &[OsString]) -> Result<Vec<Job>> {
    let name = list.display();
    let text = fs::read_to_string(list).with_context(|| format!("cannot read {name}"))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    let (_, head) = lines.next().with_context(|| format!("{name} is empty"))?;
    let columns: Vec<&str> = head.split('\t').map(str::trim).collect();
    for needed in ["video", "output"] {
        if !columns.contains(&needed) {
            bail!(
                "{name}: the first line names no column {needed}, only {}",
                columns.join(", ")
            );
        }
    }
    let mut outputs = HashMap::new();
    let mut jobs = Vec::new();
    for (line, row) in lines {
        let job =
            Job::of(line, &columns, row, common).with_context(|| format!("{name}, line {line}"))?;
        if let Some(earlier) = outputs.insert(job.arguments.output.clone(), line) {
            bail!(
                "{name}: lines {earlier} and {line} write the same file, {}",
                job.output()
            );
        }
        jobs.push(job);
    }
    Ok(jobs)
}

impl Job {
    fn of(line: usize, columns: &[&str], row: &str, common: &[OsString]) -> Result<Self> {
        let cells: Vec<&str> = row.split('\t').map(str::trim).collect();
        if cells.len() > columns.len() {
            bail!("{} cells, but {} columns", cells.len(), columns.len());
        }
        let mut words: Vec<OsString> = common.to_vec();
        for (column, cell) in columns
            .iter()
            .zip(cells)
            .filter(|(_, cell)| !cell.is_empty())
        {
            match *column {
                "video" => words.push(cell.into()),
                option => words.push(format!("--{option}={cell}").into()),
            }
        }
        let program = std::iter::once(PROGRAM.into());
        let arguments = Arguments::try_parse_from(program.chain(words.iter().cloned()));
        let first_line = |error: clap::Error| {
            anyhow!(
                "{}",
                error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
            )
        };
        Ok(Self {
            line,
            words,
            arguments: arguments.map_err(first_line)?,
        })
    }

    fn output(&self) -> String {
        self.arguments
            .output
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default()
    }

    /// A file has its name only when it is whole.
    fn is_done(&self) -> bool {
        self.arguments
            .output
            .as_ref()
            .is_some_and(|path| path.exists())
            && !self.arguments.force
    }
}

/// What is written of each job, one line each, beside the list.
struct Results(Mutex<File>);

impl Results {
    fn open(list: &Path) -> Result<Self> {
        let path = list.with_extension("results.tsv");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
        if file.metadata()?.len() == 0 {
            writeln!(file, "line\toutput\tresult\texit\tseconds\tmessage")?;
        }
        Ok(Self(Mutex::new(file)))
    }

    fn add(&self, job: &Job, result: &str, exit: Option<i32>, spent: Duration, message: &str) {
        let exit = exit.map_or_else(String::new, |exit| exit.to_string());
        let message = message.replace(['\t', '\n', '\r'], " ");
        let line = format!(
            "{}\t{}\t{result}\t{exit}\t{:.1}\t{message}\n",
            job.line,
            job.output(),
            spent.as_secs_f64()
        );
        eprintln!("{PROGRAM}: {}: {result} {message}", job.output());
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            eprintln!("{PROGRAM}: the results cannot be written: {error}");
        }
    }
}

fn run_all(jobs: &[Job], arguments: &Arguments, list: &Path) -> Result<Exit, Failure> {
    let results = Results::open(list).exit(Exit::Output)?;
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if interrupt::received().is_some() {
                return;
            }
            if !job.is_done() && !run_one(job, &program, &results) {
                failed.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(work);
        }
    });
    interrupt::check()?;
    Ok(match failed.into_inner() {
        true => Exit::Jobs,
        false => Exit::Success,
    })
}

/// Does a job in a process of its own: what crashes one leaves the others alone.
fn run_one(job: &Job, program: &Path, results: &Results) -> bool {
    let begun = Instant::now();
    match spawn_and_wait(job, program) {
        Ok((status, _)) if status.success() => {
            results.add(job, "done", Some(0), begun.elapsed(), "");
            true
        }
        Ok((status, said)) => {
            let last = said.lines().last().unwrap_or_default();
            let last = last.trim_start_matches(PROGRAM).trim_start_matches(": ");
            let message = if last.is_empty() {
                status.to_string()
            } else {
                last.to_owned()
            };
            results.add(job, "failed", status.code(), begun.elapsed(), &message);
            false
        }
        Err(error) => {
            results.add(job, "failed", None, begun.elapsed(), &format!("{error:#}"));
            false
        }
    }
}

/// How it ended, and what it said on standard error.
fn spawn_and_wait(job: &Job, program: &Path) -> Result<(ExitStatus, String)> {
    let mut child = Command::new(program)
        .args(["--die-with-parent", "--quiet"])
        .args(&job.words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start a job")?;
    let errors = child.stderr.take().context("a job has a standard error")?;
    let reader = std::thread::spawn(move || std::io::read_to_string(errors).unwrap_or_default());
    let mut is_stopped = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if !is_stopped && interrupt::received().is_some() {
            is_stopped = true;
            kill_process(Pid::from_child(&child), Signal::TERM)?;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    Ok((status, reader.join().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<Job>> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!(
            "gst-lipsync-list-{}-{number}.tsv",
            std::process::id()
        ));
        fs::write(&path, text).unwrap();
        let jobs = read(&path, &["--strength=0.5".into()]);
        fs::remove_file(path).unwrap();
        jobs
    }

    #[test]
    fn columns_are_options() {
        let jobs = list(
            "video\taudio\toutput\tstart\n a b.mp4\tü.wav\to.mp4\t1:02\n\nc.jpg\td.wav\tp.mkv\n",
        )
        .unwrap();
        assert_eq!(jobs.len(), 2);
        let first = &jobs[0].arguments;
        assert_eq!(first.video.as_deref(), Some(Path::new("a b.mp4")));
        assert_eq!(first.start, Some(gst::ClockTime::from_seconds(62)));
        assert_eq!(
            (first.strength, jobs[1].arguments.start, jobs[1].line),
            (Some(0.5), None, 4)
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, expected) in [
            ("", "is empty"),
            ("video\taudio\nx\ty\n", "no column output"),
            ("video\toutput\ncolour\n", "line 2"),
            ("video\toutput\tdance\na\tb\tc\n", "'--dance'"),
            ("video\toutput\na\tb\tc\n", "3 cells, but 2 columns"),
            (
                "video\toutput\na\tx.mp4\nb\tx.mp4\n",
                "lines 2 and 3 write the same file",
            ),
        ] {
            let error = format!("{:#}", list(text).err().unwrap());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn options_of_the_list_are_not_those_of_its_jobs() {
        let words = "--list a.tsv --jobs=4 --index 3 --index --faces 2 --list=b -f"
            .split(' ')
            .map(OsString::from);
        assert_eq!(common_words(words), ["--faces", "2", "-f"]);
    }
}
