//! Claims and pods that the demo and the tests make, and what becomes of them.

use anyhow::{Context, Result, anyhow, bail};
use placement::Bytes;
use serde_json::{Value, json};

use crate::harness::kubectl::Kubectl;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// A claim as a user writes it.
#[derive(Clone, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) name: &'a str,
    /// A Kubernetes quantity.
    pub(crate) size: &'a str,
    /// Its StorageClass.
    pub(crate) class: &'a str,
    /// A raw block volume instead of a file system.
    pub(crate) block: bool,
}

impl<'a> Claim<'a> {
    /// A claim of a file system.
    pub(crate) const fn new(name: &'a str, size: &'a str, class: &'a str) -> Self {
        Self {
            name,
            size,
            class,
            block: false,
        }
    }

    pub(crate) fn object(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": { "name": self.name },
            "spec": {
                "storageClassName": self.class,
                "volumeMode": if self.block { "Block" } else { "Filesystem" },
                "accessModes": ["ReadWriteOncePod"],
                "resources": { "requests": { "storage": self.size } },
            },
        })
    }
}

/// The label of `StorageClasses` that a scenario makes.
pub(crate) const OF_A_TEST: &str = "daxfit.dev/test";

/// A StorageClass with a NUMA wish, for file systems with DAX.
pub(crate) fn class(name: &str, numa: &str, binding: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": name, "labels": { OF_A_TEST: "" } },
        "provisioner": "csi.daxfit.dev",
        "parameters": { "csi.daxfit.dev/numa": numa },
        "volumeBindingMode": binding,
    })
}

/// A pod that sleeps, with each claim at `/pmem/CLAIM`.
pub(crate) fn pod(name: &str, image: &str, claims: &[Claim]) -> Value {
    let of = |block: bool| claims.iter().filter(move |claim| claim.block == block);
    let path = |claim: &Claim| format!("/pmem/{}", claim.name);
    let mounts: Vec<Value> = of(false)
        .map(|c| json!({ "name": c.name, "mountPath": path(c) }))
        .collect();
    let devices: Vec<Value> = of(true)
        .map(|c| json!({ "name": c.name, "devicePath": path(c) }))
        .collect();
    let volume = |c: &Claim| json!({ "name": c.name, "persistentVolumeClaim": { "claimName": c.name } });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "main",
                "image": image,
                "imagePullPolicy": "Never",
                "command": ["sleep", "infinity"],
                "volumeMounts": mounts,
                "volumeDevices": devices,
            }],
            "volumes": claims.iter().map(volume).collect::<Vec<_>>(),
        },
    })
}

/// Waits until a pod runs; fails at once if it cannot any more.
pub(crate) async fn running(kubectl: &Kubectl, pod: &str) -> Result<()> {
    until(&format!("pod {pod} runs"), HANG_LIMIT, async || {
        match kubectl.json(&["get", "pod", pod]).await {
            Ok(found) => match found["status"]["phase"].as_str() {
                Some("Running") => Probe::Ready(()),
                Some("Failed" | "Succeeded") => Probe::Never(anyhow!("it ended: {}", found["status"])),
                _ => Probe::NotYet(anyhow!("{}", found["status"])),
            },
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}

/// Waits until no object `kind/name` exists.
pub(crate) async fn gone(kubectl: &Kubectl, kind: &str, name: &str) -> Result<()> {
    until(&format!("{kind} {name} is gone"), HANG_LIMIT, async || {
        match kubectl
            .run(&["get", kind, name, "--ignore-not-found", "-o", "yaml"])
            .await
        {
            Ok(found) if found.trim().is_empty() => Probe::Ready(()),
            Ok(found) => Probe::NotYet(anyhow!("it is there:\n{found}")),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}

/// Waits for an event about `object` whose message has all `words`, and returns the message.
pub(crate) async fn event(kubectl: &Kubectl, object: &str, words: &[&str]) -> Result<String> {
    let selector = format!("involvedObject.name={object}");
    until(
        &format!("an event about {object} with {words:?}"),
        HANG_LIMIT,
        async || {
            let events = match kubectl.items(&["events", "--field-selector", &selector]).await {
                Ok(events) => events,
                Err(error) => return Probe::NotYet(error),
            };
            let messages = events.iter().filter_map(|event| event["message"].as_str());
            let messages: Vec<String> = messages.map(str::to_owned).collect();
            match messages
                .iter()
                .find(|message| words.iter().all(|word| message.contains(word)))
            {
                Some(message) => Probe::Ready(message.clone()),
                None => Probe::NotYet(anyhow!("events so far: {messages:#?}")),
            }
        },
    )
    .await
}

/// The name of the volume that a claim is bound to: PersistentVolume, PmemVolume and namespace alike.
pub(crate) async fn volume_of(kubectl: &Kubectl, claim: &str) -> Result<String> {
    let found = kubectl.json(&["get", "pvc", claim]).await?;
    let name = found["spec"]["volumeName"].as_str();
    name.map(str::to_owned)
        .with_context(|| format!("claim {claim} is not bound"))
}

/// A field of an object that holds a number of bytes.
pub(crate) fn bytes_at(object: &Value, pointer: &str) -> Result<Bytes> {
    let Some(number) = object.pointer(pointer).and_then(Value::as_i64) else {
        bail!("{pointer} is no number in {object}");
    };
    Ok(Bytes::try_from(number)?)
}

/// Waits until `kubectl get WHICH` finds nothing in any namespace.
pub(crate) async fn none_left(kubectl: &Kubectl, which: &[&str]) -> Result<()> {
    until(
        &format!("no {} are left", which.join(" ")),
        HANG_LIMIT,
        async || match kubectl.items(&[which, &["-A"]].concat()).await {
            Ok(items) if items.is_empty() => Probe::Ready(()),
            Ok(items) => Probe::NotYet(anyhow!("still there: {items:?}")),
            Err(error) => Probe::NotYet(error),
        },
    )
    .await
}

/// Waits until a claim is bound.
pub(crate) async fn bound(kubectl: &Kubectl, claim: &str) -> Result<()> {
    until(&format!("claim {claim} is bound"), HANG_LIMIT, async || {
        match kubectl.json(&["get", "pvc", claim]).await {
            Ok(found) if found["status"]["phase"] == "Bound" => Probe::Ready(()),
            Ok(found) => Probe::NotYet(anyhow!("{}", found["status"])),
            Err(error) => Probe::NotYet(error),
        }
    })
    .await
}
