//! Layout revisions that stand in the status of volumes, and that this process does not know of.

use std::sync::Arc;

use crds::PmemVolume;
use tokio_util::sync::CancellationToken;

use crate::layout::Layout;
use crate::volumes::Objects;

/// Has the revisions of `layout` go on from the highest in the status of one of the `objects`, until `stop`.
///
/// A driver that starts knows those of the volumes that there are then. The cluster may be restored to when there were others, later:
/// with a higher revision than the node reports, they would count as not made yet, and take space for ever.
pub async fn follow_written(layout: Arc<Layout>, mut objects: Objects, stop: CancellationToken) {
    let following = async {
        loop {
            objects.changed().await;
            let Some(highest) = objects.look().as_deref().and_then(highest) else {
                continue;
            };
            if layout.note_written(highest)
                && let Err(error) = layout.list().await
            {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the next listing will have a higher revision");
            }
        }
    };
    stop.run_until_cancelled(following).await;
}

fn highest(objects: &[Arc<PmemVolume>]) -> Option<i64> {
    let status = objects.iter().filter_map(|object| object.status.as_ref());
    status.filter_map(|status| status.layout_revision).max()
}
