//! `strata-load`: one kind of load against one server, told on the command line; one line of JSON comes out.

mod arguments;

use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use arguments::{Arguments, Load};
use clap::Parser as _;
use rustix::process::{Resource, getrlimit, setrlimit};
use strata_benches::fill::Place;
use strata_benches::get::Reading;
use strata_benches::progress::Progress;
use strata_benches::push::Shape;
use strata_benches::record::Record;
use strata_benches::traffic::Mix;
use strata_benches::wire::{Server, make_certificate};
use strata_benches::{get, idle, limits, push, render, secure, traffic};

fn main() -> io::Result<()> {
    // Thousands of connections are thousands of files.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;
    let load = Arguments::parse().load;
    match plain(load)? {
        Told::Said => Ok(()),
        Told::Record(record) => writeln!(io::stdout(), "{}", record.describe()),
        // One thread: the load comes from one core, and the server has the others.
        Told::Later(load) => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(turns(load))
        }
    }
}

/// What came of a load.
enum Told {
    /// It printed what there was.
    Said,
    /// Figures.
    Record(Record),
    /// It is one for the runtime.
    Later(Load),
}

/// Paths from standard input.
fn lines() -> io::Result<Vec<String>> {
    io::stdin().lock().lines().collect()
}

/// Loads that need no runtime.
fn plain(load: Load) -> io::Result<Told> {
    match load {
        Load::Get {
            address,
            method,
            connections,
            fresh,
            rate,
            spin,
            skew,
            bodies,
            beside,
            token_file,
            seconds,
        } => {
            let beside = match beside {
                Some(file) => fs::read_to_string(file)?.lines().map(str::to_owned).collect(),
                None => Vec::new(),
            };
            let _progress = Progress::show("reading", seconds);
            let token = token_file.map(fs::read_to_string).transpose()?.map(|text| text.trim().to_owned());
            let how = Reading { method, connections, fresh, rate, spin, skew, bodies, token, span: seconds };
            get::paths(address, &lines()?, &beside, &how).map(Told::Record)
        }
        Load::Herd { address, clients, width, bodies, limit } => {
            let _progress = Progress::show("herd", Duration::ZERO);
            get::herd(address, &lines()?, clients, width, bodies, limit).map(Told::Record)
        }
        Load::Idle { address, path, connections } => {
            idle::hold(address, &path, connections, &mut io::stdout(), &mut io::stdin().lock())?;
            Ok(Told::Said)
        }
        Load::Limits { folder, bytes, seconds } => {
            let _progress = Progress::show("the machine's limits", Duration::ZERO);
            writeln!(io::stdout(), "{}", limits::measure(&folder, bytes, seconds)?)?;
            Ok(Told::Said)
        }
        Load::Certificate { folder } => make_certificate(&folder).map(|()| Told::Said),
        Load::Render { results, to } => render::write(&results, &to).map(|()| Told::Said),
        other => Ok(Told::Later(other)),
    }
}

async fn turns(load: Load) -> io::Result<()> {
    let plain = |address| Arc::new(Server::plain(address));
    let record = match load {
        Load::Secure { address, certificate, http2, connections, streams, seconds } => {
            let _progress = Progress::show("reading over TLS", seconds);
            let server = Server::tls(address, &certificate, if http2 { "h2" } else { "http/1.1" })?;
            let how = secure::Reading { connections, streams, http2, span: seconds };
            secure::paths(&Arc::new(server), lines()?, how).await?
        }
        Load::PushImages { address, kind, clients, layers, layer_bytes, seconds } => {
            let _progress = Progress::show("pushing images", seconds);
            push::images(&plain(address), kind, clients, Shape { layers, layer_bytes }, seconds).await?
        }
        Load::PushBlobs { address, kind, count, bytes } => {
            let _progress = Progress::show("pushing blobs", Duration::ZERO);
            push::blobs(&plain(address), kind, count, bytes).await?
        }
        Load::Pull { address, kind, repository, tag, clients, verify, seconds } => {
            let _progress = Progress::show("pulling", seconds);
            traffic::pulls(&plain(address), kind, (&repository, &tag), clients, verify, seconds).await?
        }
        Load::Mixed { address, clients, writes, skew, push_bytes_max, seconds } => {
            let _progress = Progress::show("mixed", seconds);
            let mix = Mix { clients, writes, skew, push_bytes_max, span: seconds };
            traffic::mixed(&plain(address), lines()?, mix).await?
        }
        Load::Fill { target, count, bytes, tag } => return fill(&target, count, bytes, tag).await,
        _ => return Ok(()),
    };
    writeln!(io::stdout(), "{}", record.describe())
}

async fn fill(target: &str, count: usize, bytes: Option<usize>, tag: Option<String>) -> io::Result<()> {
    let _progress = Progress::show("storing what is to be read", Duration::ZERO);
    let place = Place::of(target);
    let paths = match (tag, bytes) {
        (Some(tag), bytes) => place.image(&tag, count, bytes.unwrap_or(16 << 10)).await?,
        (None, Some(bytes)) => place.blobs(bytes, count).await?,
        (None, None) => place.production(count).await?,
    };
    paths.iter().try_for_each(|path| writeln!(io::stdout(), "{path}"))
}
