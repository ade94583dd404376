//! Brings the volumes of this node to where their objects say they should be.
//!
//! - [`reconcile`]: hears about the objects, and calls the worker for each that changed; what failed is repeated ([`retry`]).
//! - [`plan`]: the next step of a volume, a pure function of what is known.
//! - [`turns`]: whose turn it is to choose a region; [`pending`]: the space that is left.
//! - [`worker`]: carries out one step after the other.
//! - [`status`]: the status that each step leads to; [`record`]: where it is written.
//! - [`leftovers`]: namespaces that need no object are erased and destroyed.
//! - [`zero`]: erasing and scrubbing; [`zeroing`]: of the bytes of volumes, [`sweep`]: of free bytes.

mod earlier;
mod error;
pub(crate) mod leftovers;
mod locks;
mod objects;
mod pending;
mod plan;
mod reconcile;
mod record;
mod retry;
mod status;
pub(crate) mod sweep;
mod tries;
mod turns;
mod worker;
mod zero;
mod zeroing;

pub use earlier::EarlierVolumes;
pub(crate) use objects::Objects;
pub(crate) use reconcile::Reconciler;
pub(crate) use record::ClusterRecord;
pub use record::{InMemoryRecord, Record, RecordError};
pub use sweep::UnknownBytes;
pub use worker::{WorkResult, Worker};
pub use zero::erasures::Erasures;
pub use zero::pass::{ZeroError, Zeroed, erase};
pub use zero::progress::Progress;
pub use zero::rates::EraseRates;
