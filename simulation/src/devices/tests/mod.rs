//! The rules of the model, and the real driver on it.

mod life;
mod node;
