//! Connections that are open and do nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;

use crate::wire::{Head, Request, bad};

/// Opens `count` connections, asks one thing on each, says so on `out` and holds them until `until` comes to its end.
///
/// # Errors
/// When a connection breaks or the server refuses one.
pub fn hold(
    address: SocketAddr,
    path: &str,
    count: usize,
    out: &mut dyn io::Write,
    until: &mut dyn io::Read,
) -> io::Result<()> {
    let request = Request::new("GET", path).head(&address.to_string(), "strata-load", None);
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        read_reply(&mut stream)?;
        held.push(stream);
    }
    writeln!(out, "{}", json!({ "connections": held.len() }))?;
    out.flush()?;
    io::copy(until, &mut io::sink())?;
    Ok(())
}

fn read_reply(stream: &mut TcpStream) -> io::Result<()> {
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = Head::parse(input.get(..end + 4).unwrap_or_default())
                .ok_or_else(|| bad("the reply's head was not understood"))?;
            if head.status != 200 || head.close {
                return Err(bad(format!(
                    "the server answers {}, and {} the connection",
                    head.status,
                    if head.close { "closes" } else { "keeps" }
                )));
            }
            let length = usize::try_from(head.length.unwrap_or(0)).unwrap_or(usize::MAX);
            if input.len() >= length.saturating_add(end + 4) {
                return Ok(());
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => input.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
}
