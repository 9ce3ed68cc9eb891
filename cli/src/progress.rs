//! One line that is written over, on a terminal only.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

const WIDTH: usize = 30;
const EVERY: Duration = Duration::from_millis(100);

pub struct Progress {
    begun: Instant,
    shown: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        Self {
            begun: Instant::now(),
            shown: None,
            is_shown: !quiet && std::io::stderr().is_terminal(),
        }
    }

    pub fn show(&mut self, done: gst::ClockTime, of: gst::ClockTime) {
        if !self.is_shown || self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        eprint!("\r{}\x1b[K", line(done, of, self.begun.elapsed()));
        // A line that cannot be shown is no reason to stop.
        let _ = std::io::stderr().flush();
        self.shown = Some(Instant::now());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(done: gst::ClockTime, of: gst::ClockTime, spent: Duration) -> String {
    let share = (done.seconds_f64() / of.seconds_f64().max(1e-3)).min(1.0);
    let full = (share * WIDTH as f64) as usize;
    let speed = done.seconds_f64() / spent.as_secs_f64().max(1e-3);
    let left = match done.is_zero() {
        true => String::new(),
        false => format!(
            ", {} left",
            clock(of.saturating_sub(done).seconds_f64() / speed)
        ),
    };
    format!(
        "[{}{}] {:3.0} %  {} of {}, {speed:.1} times real time{left}",
        "#".repeat(full),
        "-".repeat(WIDTH - full),
        share * 100.0,
        clock(done.seconds_f64()),
        clock(of.seconds_f64())
    )
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shows_speed_and_the_time_left() {
        let seconds = gst::ClockTime::from_seconds;
        let shown = line(seconds(30), seconds(90), Duration::from_secs(10));
        assert_eq!(
            shown,
            "[##########--------------------]  33 %  0:30 of 1:30, 3.0 times real time, 0:20 left"
        );
        assert!(line(seconds(0), seconds(0), Duration::ZERO).starts_with("[---"));
        assert_eq!(clock(3723.0), "1:02:03");
    }
}
