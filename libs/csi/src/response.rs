//! From the outcome of a call to its gRPC response.

use std::error::Error;

use program::chain;
use tonic::{Code, Response, Status};

/// The error of a call, which has a gRPC code in the CSI specification.
pub trait RpcError: Error + 'static {
    /// The code that the specification's table of errors gives it, or else the one of its general error scheme.
    fn code(&self) -> Code;
}

/// The response of the call `rpc` on a volume (empty for calls that have none).
///
/// A failure is logged here and nowhere else, with all its causes, which are the message of its status as well.
///
/// # Errors
/// The status of the failure.
pub fn respond<T, E: RpcError>(rpc: &'static str, volume: &str, outcome: Result<T, E>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|error| {
        let (code, error) = (error.code(), chain(&error));
        log(rpc, volume, code, &error);
        Status::new(code, error)
    })
}

/// ABORTED is every day: the caller calls again. The other codes of the second group are about the request or about
/// space; those of the third need a person.
fn log(rpc: &'static str, volume: &str, code: Code, error: &str) {
    match code {
        Code::Aborted => tracing::info!(rpc, volume, ?code, error, "call refused"),
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::OutOfRange
        | Code::ResourceExhausted
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Unavailable => tracing::warn!(rpc, volume, ?code, error, "call refused"),
        Code::Ok
        | Code::Unknown
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => tracing::error!(rpc, volume, ?code, error, "call failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot list")]
    struct Outer(#[source] std::io::Error);

    impl RpcError for Outer {
        fn code(&self) -> Code {
            Code::Unavailable
        }
    }

    #[test]
    fn a_status_names_every_cause_once() {
        let outcome: Result<(), _> = Err(Outer(std::io::Error::other("no bus")));
        let status = respond("Probe", "v", outcome).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "cannot list: no bus");
    }
}
