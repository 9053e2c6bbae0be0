//! `strata backup DIR`: makes a backup of a store, while a server uses it or without one.
//!
//! The server makes a checkpoint and holds what it names; this process, on the same machine, links or copies the files, and renews the
//! hold meanwhile. Only when the hold was alive to the end is the backup made whole.
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use strata_engine::backup::{self, BACKUPS, Filled, Options, Progress, Summary, Watch};
use strata_engine::{EngineError, UnixMillis};
use strata_frontend_http::document::{Backup, BackupRequest};

use super::place::{Place, PlaceArguments, Refusal, context};
use super::wording::{count, verb};

const PATH: &str = "/api/v1/backups";

/// How long the hold lives without a sign of life from here, and how often that is given.
const HOLD: BackupRequest = BackupRequest { hold_seconds: 60 };
const RENEW_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// Where to: an empty directory, or one that does not exist
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Copies all bytes, where files that no longer change would otherwise be shared with the store by hard links
    #[arg(long)]
    copy: bool,
    /// Where the data directory of the server is found here, if not where the server sees it (containers)
    #[arg(long, value_name = "PATH", requires = "server")]
    at: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
}

/// What was made, as it is printed.
#[derive(Debug, Serialize)]
struct Report {
    directory: PathBuf,
    made_at_millis: u64,
    last_event: u64,
    files: u64,
    bytes: u64,
    linked: u64,
    bytes_copied: u64,
    problems_total: u64,
    problems: Vec<String>,
}

/// Makes the backup and prints what came of it.
pub(super) fn run(arguments: &BackupArguments) -> ExitCode {
    match arguments.place.ask(async |place| make(arguments, place).await) {
        Ok(report) => {
            let printed = arguments.place.show(&report, as_text);
            if report.problems_total == 0 { printed } else { ExitCode::from(1) }
        }
        Err(refusal) => refusal.report(),
    }
}

async fn make(arguments: &BackupArguments, place: &Place) -> Result<Report, Refusal> {
    let begun: Backup = match place {
        Place::Server(client) => client.post(PATH, &HOLD).await?,
        Place::Directory(opened) => opened.registry.start_backup(&context(), hold()).await?.into(),
    };
    let outcome = copied(arguments, place, &begun).await;
    // Whatever came of it. A hold that cannot be ended ends by itself.
    let ended = end(place, &begun.id).await;
    let summary = outcome?;
    if let Err(why) = ended {
        eprintln!("strata: the backup is whole, but the server was not told that it is over: {why}");
    }
    let Summary { files, bytes, linked, bytes_copied, last_event, problems, problems_total } = summary;
    Ok(Report {
        directory: arguments.target.clone(),
        made_at_millis: begun.made_at_millis,
        last_event,
        files,
        bytes,
        linked,
        bytes_copied,
        problems_total,
        problems,
    })
}

/// Fills the target while the hold is renewed, and makes it whole if the hold was alive all the time.
async fn copied(arguments: &BackupArguments, place: &Place, begun: &Backup) -> Result<Summary, Refusal> {
    let directory = arguments.at.as_deref().unwrap_or(&begun.directory);
    refuse_elsewhere(directory, &begun.id)?;
    let backup = backup::Backup {
        id: begun.id.clone(),
        data_dir: directory.to_owned(),
        made_at: UnixMillis(begun.made_at_millis),
        expires_in: hold(),
        reserve_bytes: begun.reserve,
    };
    let (target, options) = (arguments.target.clone(), Options { copy: arguments.copy });
    let given_up = Arc::<AtomicBool>::default();
    let mut shown = Shown { given_up: Arc::clone(&given_up), bar: None, tenths: 0 };
    let mut filling = tokio::task::spawn_blocking(move || {
        let filled = backup::fill(&backup, &target, options, &mut shown);
        shown.clear();
        filled
    });
    let mut tick = tokio::time::interval(RENEW_EVERY);
    let mut lost = None;
    let filled = loop {
        tokio::select! {
            filled = &mut filling => break filled,
            _ = tick.tick(), if lost.is_none() => {
                lost = renew(place, &begun.id).await.err();
                given_up.store(lost.is_some(), Ordering::Relaxed);
            }
        }
    };
    if let Some(lost) = lost {
        return Err(lost);
    }
    let filled: Result<Filled, EngineError> = filled.map_err(Refusal::new)?;
    // What was copied was there all the time only if this still succeeds; and if it does not, that is why something was missing.
    if !matches!(filled, Err(EngineError::BackupTarget { .. })) {
        renew(place, &begun.id).await?;
    }
    let filled = filled.map_err(explained)?;
    let finished = tokio::task::spawn_blocking(move || filled.finish()).await;
    finished.map_err(Refusal::new)?.map_err(explained)
}

const fn hold() -> Duration {
    Duration::from_secs(HOLD.hold_seconds)
}

async fn renew(place: &Place, id: &str) -> Result<(), Refusal> {
    match place {
        Place::Server(client) => drop(client.put::<Backup>(&format!("{PATH}/{id}"), &HOLD).await?),
        Place::Directory(opened) => drop(opened.registry.renew_backup(&context(), id, hold()).await?),
    }
    Ok(())
}

async fn end(place: &Place, id: &str) -> Result<(), Refusal> {
    match place {
        Place::Server(client) => client.delete(&format!("{PATH}/{id}")).await?,
        Place::Directory(opened) => opened.registry.end_backup(&context(), id).await?,
    }
    Ok(())
}

/// Refuses where the checkpoint cannot be seen: the server is on another machine, in a container, or somebody else's.
fn refuse_elsewhere(directory: &Path, id: &str) -> Result<(), Refusal> {
    let checkpoint = directory.join(BACKUPS).join(id);
    std::fs::read_dir(&checkpoint).map(drop).map_err(|error| {
        Refusal::new(format!(
            "the data directory of the server, {}, cannot be read here: {error}. Run this on the machine of the server, as a user who may \
             read it; where it is found under another path here, name that with --at",
            directory.display()
        ))
    })
}

fn explained(error: EngineError) -> Refusal {
    match error {
        EngineError::BackupTarget { .. } => Refusal::wrong_use(error),
        EngineError::NoSpace => Refusal::new(
            "the backup is incomplete and of no use: there is no room for it, or less than storage.reserve would be left for the store",
        ),
        other => Refusal::new(format!("the backup is incomplete and of no use: {other}")),
    }
}

/// Shows how far it has come, on stderr: a bar on a terminal, else a line for every tenth.
struct Shown {
    given_up: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    tenths: u64,
}

impl Watch for Shown {
    fn go_on(&mut self, progress: &Progress) -> bool {
        if std::io::stderr().is_terminal() {
            self.bar.get_or_insert_with(|| bar(progress)).set_position(progress.bytes);
        } else {
            let tenths = (progress.bytes * 10).checked_div(progress.bytes_total).unwrap_or(10);
            if tenths > self.tenths {
                self.tenths = tenths;
                eprintln!("{} of {} bytes", progress.bytes, progress.bytes_total);
            }
        }
        !self.given_up.load(Ordering::Relaxed)
    }
}

impl Shown {
    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(progress: &Progress) -> ProgressBar {
    let bar = ProgressBar::new(progress.bytes_total);
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn as_text(report: &Report) -> String {
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "missing in the store itself: {problem}");
    }
    let _ = writeln!(
        text,
        "{}: {} of {}, {} of them shared with the store, {} copied, up to event {}{}",
        report.directory.display(),
        count(report.files, "file"),
        count(report.bytes, "byte"),
        report.linked,
        count(report.bytes_copied, "byte"),
        report.last_event,
        match report.problems_total {
            0 => String::new(),
            some => format!("; {} {} missing, see `strata check`", count(some, "file"), verb(some)),
        },
    );
    text
}
