//! The manual page and shell completions, from the same description as `--help`.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::{PROGRAM, arguments::Arguments, exit::Exit};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Generated {
    Man,
    ManServe,
    Bash,
    Zsh,
    Fish,
}

/// Writes it to standard output.
pub fn print(what: Generated) -> Result<()> {
    let mut text = Vec::new();
    let mut command = Arguments::command();
    match what {
        Generated::Man => man(command, &mut text)?,
        Generated::ManServe => {
            command.build();
            let serve = command.find_subcommand_mut("serve");
            let serve = serve.context("there is a subcommand serve")?.clone();
            man(serve, &mut text)?;
        }
        Generated::Bash => clap_complete::generate(Shell::Bash, &mut command, PROGRAM, &mut text),
        Generated::Zsh => clap_complete::generate(Shell::Zsh, &mut command, PROGRAM, &mut text),
        Generated::Fish => clap_complete::generate(Shell::Fish, &mut command, PROGRAM, &mut text),
    }
    std::io::stdout().write_all(&text)?;
    Ok(())
}

fn man(command: clap::Command, page: &mut Vec<u8>) -> Result<()> {
    let mut described = Vec::new();
    clap_mangen::Man::new(command).render(&mut described)?;
    let described = String::from_utf8_lossy(&described);
    write!(
        page,
        "{}",
        described.replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n")
    )?;
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for (exit, meaning) in Exit::ALL {
        writeln!(page, ".TP\n.B {}\n{meaning}", exit as u8)?;
    }
    writeln!(
        page,
        ".TP\n.B 130, 143\nCtrl-C, SIGTERM: nothing is left of the unfinished file"
    )?;
    writeln!(
        page,
        ".SH \"SEE ALSO\"\n.BR {PROGRAM} (1),\n.BR {PROGRAM}-serve (1),\n.BR gst-inspect-1.0 (1),\n.BR gst-launch-1.0 (1)"
    )?;
    Ok(())
}
