//! From the outcome of a call to what goes over the wire.

use std::error::Error;

use tonic::{Code, Response, Status};

use crate::error_chain::chain;

/// An error of a call that has a gRPC code in the CSI specification.
pub trait Coded: Error + 'static {
    /// Its gRPC code.
    fn code(&self) -> Code;
}

/// The answer of the call `rpc` on a volume; a failure is logged here, and nowhere else, with all its sources.
///
/// # Errors
/// The status for the failure.
pub fn answer<T, E: Coded>(rpc: &'static str, volume: &str, outcome: Result<T, E>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|error| {
        let (code, error) = (error.code(), chain(&error));
        match code {
            Code::Aborted => tracing::info!(rpc, volume, error, "call refused"),
            Code::InvalidArgument | Code::NotFound => tracing::warn!(rpc, volume, ?code, error, "call refused"),
            _ => tracing::error!(rpc, volume, ?code, error, "call failed"),
        }
        Status::new(code, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot list")]
    struct Outer(#[source] std::io::Error);

    impl Coded for Outer {
        fn code(&self) -> Code {
            Code::Unavailable
        }
    }

    #[test]
    fn a_status_tells_every_source_once() {
        let outcome: Result<(), _> = Err(Outer(std::io::Error::other("no bus")));
        let status = answer("Probe", "v", outcome).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "cannot list: no bus");
    }
}
