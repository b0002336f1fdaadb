//! What a command says to the person or program that started it: lines on its two outputs, and the exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Clean,
    /// It failed while running.
    Failure,
    /// `plan` found changes.
    Changes,
    Usage,
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => Self::SUCCESS,
            Exit::Failure => Self::from(1),
            Exit::Changes => Self::from(2),
            Exit::Usage => Self::from(64),
            Exit::Config => Self::from(78),
        }
    }
}

/// Writes a line to standard output. A closed pipe loses the line and stops nothing.
pub(crate) fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line to standard error.
pub(crate) fn complain(line: &str) {
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// Asks a person at a terminal. Where there is none, whoever wrote the script has answered.
pub(crate) fn confirm(question: &str) -> std::io::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut out = std::io::stdout();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
