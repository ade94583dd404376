//! The whole system in one process under one seed, with every fault that the world has.

pub mod devices;
