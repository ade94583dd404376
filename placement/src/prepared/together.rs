//! Where claims can come to be that want to be on one NUMA node.

use super::{Details, PreparedNode};
use crate::node::on_one_numa_node;
use crate::rooms::{Rooms, Takes};
use crate::{Joint, NumaNode, NumaWish, PodRequest, VolumeRequest};

impl PreparedNode {
    /// The only NUMA node that [`Together`](NumaWish::Together) can come to here for several claims that wish it: the
    /// others are too small, whatever else comes or not, as long as nothing goes. None if there are several, or none.
    #[must_use]
    pub fn only_choice(&self, pod_request: &mut PodRequest) -> Option<NumaNode> {
        if on_one_numa_node(pod_request.requests()) == 0 {
            return None;
        }
        match self.possible_choices(pod_request)[..] {
            [NumaWish::Node(numa)] => Some(numa),
            _ => None,
        }
    }

    /// Whether all wants fit beside what is promised wherever `together` comes to, of what it can come to at all.
    pub(super) fn beside_wherever(&self, pod_request: &mut PodRequest) -> Joint {
        let Details { node, committed, .. } = &*self.details;
        let choices = self.possible_choices(pod_request);
        if choices.is_empty() {
            return Joint::Fails(Vec::new());
        }
        let wherever = |request: &VolumeRequest| -> Vec<VolumeRequest> {
            match request.numa {
                NumaWish::Any | NumaWish::Node(_) => vec![*request],
                NumaWish::Together => choices.iter().map(|choice| request.settled(*choice)).collect(),
            }
        };
        let requests = pod_request.requests().iter().flat_map(wherever);
        let takes = requests.map(|request| Rooms::takes(node, &request)).collect();
        committed.leaves_room_for(takes, pod_request)
    }

    /// What `together` can come to: where these claims may be if nothing that is promised were.
    fn possible_choices(&self, pod_request: &mut PodRequest) -> Vec<NumaWish> {
        let Details {
            node, rooms, committed, ..
        } = &*self.details;
        let rooms = if self.glance.has_promised() {
            committed.rooms()
        } else {
            rooms
        };
        let mut choices = node.wherever_choices();
        choices.retain(|choice| {
            let together = pod_request
                .requests()
                .iter()
                .filter(|request| request.numa == NumaWish::Together);
            let takes: Vec<Takes> = together
                .map(|request| Rooms::takes(node, &request.settled(*choice)))
                .collect();
            rooms.may_hold(&takes)
        });
        choices
    }
}
