//! The services as a kubelet calls them, over a socket.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod codes;
mod driver;
mod fakes;
mod identity;
mod interrupted;
mod node_publish_volume;
mod node_stage_volume;
