//! The services as a kubelet calls them, over a socket.

mod bench;
mod codes;
mod fakes;
mod identity;
mod interrupted;
mod publishing;
mod staging;
