//! The whole system in one process under one seed, with every fault that the world has.

pub mod api_server;
pub mod by_hand;
pub mod calm;
pub mod devices;
pub mod dice;
pub mod faults;
pub mod forgotten;
pub mod history;
pub mod invariants;
pub mod oracle;
pub mod programs;
pub mod promises;
pub mod surroundings;
pub mod time;
pub mod users;
pub mod world;
