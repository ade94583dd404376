//! The rules of the model, and the real driver on it.

mod bad_blocks;
mod faults;
mod kernel;
mod labels;
mod life;
mod node;
mod others;
mod power;
mod story;
