//! Free bytes that are known to be zero: what a finished erasure left, and nobody had since. They are not read again before they
//! are handed out.
//!
//! What is known is kept in a file of the node, never in the cluster: an etcd of yesterday would call bytes zero that somebody
//! wrote since. It counts only while the label areas of all modules of a region are as they were when it was noted: whoever makes
//! a namespace has the kernel write a label. When in doubt nothing is known, and bytes are read as ever.
//!
//! - [`label_areas`]: what label areas hold, as far as it tells of each label that was written.
//! - [`change`]: whether a change of ours, and nothing else, led from one state of them to another.
//! - [`record`]: which bytes are known to be zero, and under which state of the label areas.
//! - [`known_zeros`]: before and after each change of a label of ours.

mod change;
mod known_zeros;
mod label_areas;
mod record;

pub use change::Change;
pub use known_zeros::{KnownZeros, NotWithdrawn};
pub use label_areas::{LabelAreas, Look, ModuleArea, Slot};
pub(crate) use record::without;
