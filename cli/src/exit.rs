//! Exit codes, and errors that know theirs.

use std::process::ExitCode;

use crate::interrupt::Interrupted;

/// Why the program ends. The manual page lists them from here; 130 and 143 besides, after Ctrl-C and SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Success = 0,
    Failed = 1,
    Usage = 2,
    Input = 3,
    Output = 4,
    Jobs = 5,
    Installation = 6,
}

impl Exit {
    pub const ALL: [(Self, &str); 7] = [
        (
            Self::Success,
            "the file is written whole; notes on standard error say what it lacks",
        ),
        (Self::Failed, "the pipeline failed half-way"),
        (
            Self::Usage,
            "the arguments contradict each other or do not exist",
        ),
        (
            Self::Input,
            "an input or a model is not there, cannot be read, or an input lacks video or audio",
        ),
        (
            Self::Output,
            "the output is there already, or cannot be written",
        ),
        (
            Self::Jobs,
            "of a list, some jobs failed; the others are done",
        ),
        (
            Self::Installation,
            "the plugin or an encoder is not installed",
        ),
    ];

    pub fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// An error and the code with which the program ends.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    pub error: anyhow::Error,
}

impl Failure {
    /// After a signal that of the signal, as shells have it.
    pub fn code(&self) -> ExitCode {
        match self.error.downcast_ref::<Interrupted>() {
            Some(Interrupted(signal)) => ExitCode::from(128 + signal),
            None => self.exit.code(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let exit = Exit::Failed;
        Self { exit, error }
    }
}

/// Gives an error its exit code.
pub trait Reason<T> {
    fn exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T> Reason<T> for anyhow::Result<T> {
    fn exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error })
    }
}
