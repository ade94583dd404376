//! Pods that wait for persistent memory that no node has.
//!
//! The scheduler's `VolumeBinding` plugin rules out each node whose CSIStorageCapacity is too small before any extender
//! is asked, and says only "node(s) did not have enough free storage". An event on the pod says what was asked and what
//! the largest extent is.

mod asked;
mod board;
mod look;
mod pod;
mod refusal;
mod tell;
pub mod watch;

use std::time::Duration;

use kube::Client;
use tokio::time::MissedTickBehavior;

pub use asked::{Asked, asked};
pub use board::Board;
pub use look::Looker;
pub use pod::WaitingPod;
pub use refusal::refusal;

use crate::index::{Index, SharedIndex};

/// How often the pods that wait for our memory are looked at again: free space may have changed, or a request failed.
const PERIOD: Duration = Duration::from_secs(30);

/// Says of each pod that waits for persistent memory why no node has it, for ever.
pub async fn run(client: Client, index: SharedIndex) {
    let board = Board::default();
    let looker = Looker::new(client.clone(), index.clone());
    tokio::join!(watch::run(client, &board), look_for_ever(&board, &looker, &index));
}

async fn look_for_ever(board: &Board, looker: &Looker, index: &SharedIndex) {
    index.wait_for(|index| Index::synced(index).then_some(())).await;
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => board.look_again(),
            () = board.changed() => {}
        }
        looker.look_at_due(board).await;
    }
}
