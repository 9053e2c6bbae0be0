//! What is asked of the one at the terminal: secrets, which nobody sees, and whether something is really to be deleted.
use std::io::{self, BufRead, IsTerminal, Read, Write};

use strata_registry::Secret;

use super::place::Refusal;

/// Most bytes of what is typed or piped.
const LINE_MAX: u64 = 4096;

/// Whether somebody can be asked.
pub(super) fn is_attended() -> bool {
    io::stdin().is_terminal()
}

/// The first line of standard input, without its end.
///
/// # Errors
/// It cannot be read; it is empty.
pub(super) fn line() -> Result<String, Refusal> {
    let mut text = String::new();
    let read = io::stdin().lock().take(LINE_MAX).read_line(&mut text);
    read.map_err(|error| Refusal::new(format!("standard input cannot be read: {error}")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        Err(Refusal::wrong_use("nothing was given on standard input"))
    } else {
        Ok(text.to_owned())
    }
}

/// Asks for a word.
///
/// # Errors
/// As [`line()`].
pub(super) fn ask(question: &str) -> Result<String, Refusal> {
    say(question);
    line()
}

/// Asks for a secret at the terminal, which does not show it.
///
/// # Errors
/// There is no terminal; nothing was typed.
pub(super) fn secret(question: &str) -> Result<Secret, Refusal> {
    let typed = rpassword::prompt_password(question)
        .map_err(|error| Refusal::new(format!("the secret cannot be asked for: {error}")))?;
    if typed.is_empty() { Err(Refusal::wrong_use("nothing was typed")) } else { Ok(Secret::new(typed)) }
}

/// Goes on only where the deletion is meant: `--yes`, or a `y` at the terminal.
///
/// # Errors
/// It is not meant, or nobody can be asked.
pub(super) fn confirm(yes: bool, what: &str) -> Result<(), Refusal> {
    if yes {
        return Ok(());
    }
    if !is_attended() {
        return Err(Refusal::wrong_use(format!("nobody can be asked whether to {what}: say --yes")));
    }
    say(&format!("{what}? [y/N] "));
    match line() {
        Ok(answer) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Refusal::new("nothing was deleted")),
    }
}

/// On stderr, so that stdout holds nothing but answers.
fn say(text: &str) {
    let mut out = io::stderr().lock();
    // Where nobody sees the question, nobody answers it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
