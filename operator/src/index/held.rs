//! What the API server holds of one node, and whether the index shows that.

use std::collections::BTreeMap;

use cluster::version::{is_older, number};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::state::Index;

/// What the API server held of one node when it was read: which versions of which objects.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The name of the node.
    pub node: String,
    /// Its PmemNode, if there is one.
    pub report: Option<ObjectMeta>,
    /// Its `PmemVolumes`, by name.
    pub volumes: BTreeMap<String, ObjectMeta>,
    /// The resource version of the list of volumes.
    pub revision: String,
}

impl Held {
    /// Whether `index` shows all of it, or what came after it. What the watch shows and was gone by then is not there any more.
    #[must_use]
    pub fn is_shown_by(&self, index: &Index) -> bool {
        let is_shown = |shown: Option<&ObjectMeta>, held| shown.is_some_and(|shown| !is_older(shown, held));
        let report = index.report(&self.node).map(|node| &node.metadata);
        let is_gone = |shown: &ObjectMeta| {
            let version = shown.resource_version.as_deref().and_then(number);
            version < number(&self.revision) && version.is_some()
        };
        let mut shown = index.shown_volumes_of(&self.node);
        self.report.as_ref().is_none_or(|held| is_shown(report, held))
            && self.volumes.iter().all(|(name, held)| {
                let shown = index.volume(name).map(|volume| &volume.metadata);
                is_shown(shown, held)
            })
            && shown.all(|(name, shown)| self.volumes.contains_key(name) || !is_gone(&shown.metadata))
    }
}
