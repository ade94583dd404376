//! The worker on a simulated machine, whose bytes stay what earlier tenants wrote, and which can be killed at any point.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod bad_blocks;
mod foreign;
mod killed;
mod known_zero;
mod life;
mod made_elsewhere;
mod marks;
mod no_space;
mod node;
mod side_by_side;
mod sweep;
