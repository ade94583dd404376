//! How connections are read from the kernel.

use std::future::{Ready, ready};
use std::io;

use axum_server::accept::Accept;
use tokio::io::BufReader;
use tokio::net::TcpStream;

/// Most of a request with 5,000 names. There is one buffer for each connection, and kube-scheduler keeps one or two.
const SIZE: usize = 64 << 10;

/// Accepts connections below TLS: they send at once, and they read into a large buffer, because rustls reads 4 KiB at a
/// time, which would be one system call for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct WithReadBuffer;

impl<S> Accept<TcpStream, S> for WithReadBuffer {
    type Stream = BufReader<TcpStream>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = stream.set_nodelay(true);
        ready(accepted.map(|()| (BufReader::with_capacity(SIZE, stream), service)))
    }
}
