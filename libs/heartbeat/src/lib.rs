//! A Lease that a program renews for as long as it lives.
//!
//! Clocks of different machines are not compared: who watches it counts how long it did not change.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

/// How often it is renewed.
pub const EVERY: Duration = Duration::from_secs(20);
/// How long a Lease is said to last, for people: nothing here reads it.
const DURATION_SECONDS: i32 = 60;

/// The Lease of one program.
#[derive(Clone)]
pub struct Heartbeat {
    leases: Api<Lease>,
    name: String,
    holder: String,
}

impl Heartbeat {
    /// The Lease `name` in `namespace`, which `holder` holds.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, holder: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.into(),
            holder: holder.into(),
        }
    }

    /// Renews it at `at`, unless there is no such Lease. Whether there is one.
    ///
    /// # Errors
    /// The API server did not say that it was renewed.
    pub async fn renew(&self, at: &MicroTime) -> kube::Result<bool> {
        let patch = Patch::Merge(json!({ "spec": self.spec(at) }));
        match self.leases.patch(&self.name, &PatchParams::default(), &patch).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes it, renewed at `at`; it goes when `owner` does.
    ///
    /// # Errors
    /// The API server did not say that it was made.
    pub async fn create(&self, at: &MicroTime, owner: Option<OwnerReference>) -> kube::Result<()> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(self.spec(at)),
        };
        self.leases.create(&PostParams::default(), &lease).await.map(drop)
    }

    fn spec(&self, at: &MicroTime) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            renew_time: Some(at.clone()),
            ..LeaseSpec::default()
        }
    }
}

/// This moment, as exactly as a Lease keeps it.
#[must_use]
pub fn now() -> MicroTime {
    let now = program::now();
    MicroTime(Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now))
}
