//! A client that adds little of its own, so that what is measured is the extender.
//!
//! Like that of kube-scheduler it speaks HTTP/1.1 on one connection that it keeps, one call after the other.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Room for the heads of answers, and for what comes with them at once.
const FIRST_READ: usize = 64 << 10;

/// A connection to a server on this host.
pub struct Caller {
    stream: StreamOwned<ClientConnection, Buffered>,
    answer: Vec<u8>,
}

/// rustls reads 4 KiB at a time: this asks the kernel less often.
struct Buffered(BufReader<TcpStream>);

impl Caller {
    /// Connects to the server on `address`.
    pub fn connect(address: SocketAddr, config: ClientConfig) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        let mut tls = ClientConnection::new(Arc::new(config), ServerName::IpAddress(address.ip().into()))?;
        tls.set_buffer_limit(None);
        Ok(Self {
            stream: StreamOwned::new(tls, Buffered(BufReader::with_capacity(FIRST_READ, tcp))),
            answer: Vec::new(),
        })
    }

    /// A whole request as it goes over the connection.
    pub fn request(path: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    /// Sends a request and returns the body of the answer.
    pub fn call(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request)?;
        self.stream.flush()?;
        let mut read = 0;
        let head = loop {
            self.answer.resize(FIRST_READ.max(self.answer.len()), 0);
            let more = self.stream.read(&mut self.answer[read..])?;
            ensure!(more > 0, "the server hung up");
            read += more;
            if let Some(head) = self.answer[..read].windows(4).position(|end| end == b"\r\n\r\n") {
                break head + 4;
            }
        };
        let end = head + length_of_body(&self.answer[..head])?;
        self.answer.resize(end.max(self.answer.len()), 0);
        self.stream.read_exact(&mut self.answer[read..end])?;
        Ok(&self.answer[head..end])
    }
}

fn length_of_body(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("not answered: {head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Ok(length.context("an answer without a length")?.parse()?)
}

impl Read for Buffered {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Buffered {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        self.0.get_mut().write(from)
    }

    fn write_vectored(&mut self, from: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        self.0.get_mut().write_vectored(from)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.get_mut().flush()
    }
}
