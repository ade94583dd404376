//! The worker on model devices, whose bytes remember earlier tenants and which die when told.

mod foreign;
mod killed;
mod life;
mod model;
mod side_by_side;
