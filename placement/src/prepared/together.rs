//! Where claims can come to be that want to be on one NUMA node.

use super::{Details, Prepared};
use crate::node::on_one_numa_node;
use crate::rooms::{Rooms, Takes};
use crate::{Ask, Joint, NumaNode, NumaWish, Want};

impl Prepared {
    /// The only NUMA node that [`Together`](NumaWish::Together) can come to here for several claims that wish it: the
    /// others are too small, whatever else comes or not, as long as nothing goes. None if there are several, or none.
    #[must_use]
    pub fn only_choice(&self, ask: &mut Ask) -> Option<NumaNode> {
        if on_one_numa_node(ask.wants()) == 0 {
            return None;
        }
        match self.possible_choices(ask)[..] {
            [NumaWish::Node(numa)] => Some(numa),
            _ => None,
        }
    }

    /// Whether all wants fit beside what is promised wherever `together` comes to, of what it can come to at all.
    pub(super) fn beside_wherever(&self, ask: &mut Ask) -> Joint {
        let Details { node, committed, .. } = &*self.details;
        let choices = self.possible_choices(ask);
        if choices.is_empty() {
            return Joint::Fails(Vec::new());
        }
        let wherever = |want: &Want| -> Vec<Want> {
            match want.numa {
                NumaWish::Any | NumaWish::Node(_) => vec![*want],
                NumaWish::Together => choices.iter().map(|choice| want.settled(*choice)).collect(),
            }
        };
        let wants = ask.wants().iter().flat_map(wherever);
        let takes = wants.map(|want| Rooms::takes(node, &want)).collect();
        committed.leaves_room_for(takes, ask)
    }

    /// What `together` can come to: where these claims may be if nothing that is promised were.
    fn possible_choices(&self, ask: &mut Ask) -> Vec<NumaWish> {
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
            let together = ask.wants().iter().filter(|want| want.numa == NumaWish::Together);
            let takes: Vec<Takes> = together
                .map(|want| Rooms::takes(node, &want.settled(*choice)))
                .collect();
            rooms.may_hold(&takes)
        });
        choices
    }
}
