//! Puts the parts together, but for the server.

use std::time::Duration;

use axum::Router;
use cluster::ObjectKey;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::decide::NodeChoice;
use crate::doubts::settle_doubts;
use crate::ledger::Ledger;
use crate::neglected::end_neglected;
use crate::state::{SharedState, State, expire_reservations, watch_all};
use crate::wake::{self, Waker};
use crate::webhook::{ApiServer, TIME_LIMIT, Webhook, router};

/// Whose events they are.
const REPORTER: &str = "daxfit-extender";

/// How the extender is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which nodes pass the filter.
    pub choice: NodeChoice,
    /// A claim is reserved for so long without being bound to a node.
    pub reserved_for: Duration,
    /// What it writes to wake pods: the namespace of Daxfit, and a name.
    pub wake_object: ObjectKey,
}

/// The extender without a server.
pub struct Extender {
    /// Answers the calls of kube-scheduler.
    pub app: Router,
    /// What the cluster shows, and what is reserved.
    pub state: SharedState,
    /// They carry the cluster into the state, until they are stopped.
    pub pumps: JoinSet<()>,
}

impl Extender {
    /// Starts the pumps, which end at `stop`.
    #[must_use]
    pub fn start(client: Client, settings: &Settings, stop: &CancellationToken) -> Self {
        let state = SharedState::from(State::new(Ledger::new(settings.reserved_for)));
        let mut pumps = watch_all(&client, &state, stop);
        pumps.spawn(expire_reservations(state.clone(), stop.clone()));
        pumps.spawn(settle_doubts(state.clone(), ApiServer(client.clone()), stop.clone()));
        let recorder = Recorder::new(client.clone(), Reporter::from(REPORTER));
        pumps.spawn(end_neglected(
            state.clone(),
            ApiServer(client.clone()),
            recorder,
            stop.clone(),
        ));
        let waker = Waker::new(client.clone(), &settings.wake_object);
        pumps.spawn(wake::run(state.clone(), waker, stop.clone()));
        let app = router(Webhook {
            state: state.clone(),
            reader: ApiServer(client),
            choice: settings.choice,
            time_limit: TIME_LIMIT,
        });
        Self { app, state, pumps }
    }
}
