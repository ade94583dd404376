//! What can be asked of the processes of a hollow cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use kube::{Client, Config};
use placement::Bytes;

use super::hollow_cluster::{HollowCluster, LOGS};
use super::metrics::Samples;
use super::part::{EXTENDER, Extender, PROVISIONER_PORT, Part};
use crate::harness::client;
use crate::harness::cluster::control_plane::Component;

/// What a process keeps in RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResidentMemory {
    pub(crate) now: Bytes,
    /// At any moment since it was started.
    pub(crate) peak: Bytes,
}

impl HollowCluster {
    /// The extender, as the scheduler calls it.
    pub(crate) fn extender(&self) -> Result<Client> {
        self.client_of(EXTENDER)
    }

    /// A client of one of the extenders.
    pub(super) fn client_of(&self, extender: Extender) -> Result<Client> {
        let certificates = self.run.folder(extender.certificates)?;
        let read = |file: &str| text(&certificates.join(file));
        let url = format!("https://{}:{}", self.sandbox.address_from_host(), extender.port);
        let mut config = Config::new(url.parse()?);
        config.tls_server_name = Some("localhost".to_owned());
        config.root_cert = Some(vec![client::pem_to_der(&read("ca.crt")?)?]);
        config.auth_info.client_certificate_data = Some(encoded(&read("client.crt")?));
        config.auth_info.client_key_data = Some(encoded(&read("client.key")?).into());
        Ok(Client::try_from(config)?)
    }

    /// The socket on which the nodes take orders: see [`NodeControl`](super::NodeControl).
    pub(crate) fn node_control(&self) -> PathBuf {
        self.run.path().join("hollow-nodes.sock")
    }

    /// What the API server counts.
    pub(crate) async fn api_server_metrics(&self) -> Result<Samples> {
        Samples::of(&self.client()).await
    }

    /// What kube-scheduler counts.
    pub(crate) async fn scheduler_metrics(&self) -> Result<Samples> {
        Samples::of(&self.control_plane.client_of(Component::Scheduler)?).await
    }

    /// Watches for so many seconds where the scheduler's processor time goes. The file has what `go tool pprof` reads.
    pub(crate) fn scheduler_profile(&self, seconds: u32) -> Result<impl Future<Output = Result<PathBuf>> + use<>> {
        let scheduler = self.control_plane.client_of(Component::Scheduler)?;
        let file = self.run.folder(LOGS)?.join("kube-scheduler.pprof");
        Ok(async move {
            let path = format!("/debug/pprof/profile?seconds={seconds}");
            let answer = client::get_bytes(&scheduler, &path).await?;
            fs::write(&file, answer).with_context(|| format!("writing {}", file.display()))?;
            Ok(file)
        })
    }

    /// What each process of the cluster, but those of the nodes, has taken of the processors so far, by name.
    pub(crate) fn processor_times(&self) -> Result<Vec<(&'static str, Duration)>> {
        let parts = self.parts.iter().filter(|(part, _)| **part != Part::Nodes);
        let parts = parts.map(|(part, daemon)| Ok((part.name(), daemon.processor_time()?)));
        self.control_plane
            .processor_times()?
            .into_iter()
            .map(Ok)
            .chain(parts)
            .collect()
    }

    /// What the provisioner counts, such as its calls of the operator.
    pub(crate) async fn provisioner_metrics(&self) -> Result<Samples> {
        let url = format!("http://{}:{PROVISIONER_PORT}", self.sandbox.address_from_host());
        Samples::of(&client::anonymous(&url, None)?).await
    }

    /// Memory of a part that runs: `VmRSS` and `VmHWM` in proc(5).
    pub(crate) fn resident_memory(&self, part: Part) -> Result<ResidentMemory> {
        let daemon = self.parts.get(&part);
        let daemon = daemon.with_context(|| format!("{} was not started", part.name()))?;
        let status = text(&Path::new("/proc").join(daemon.pid().to_string()).join("status"))?;
        let field = |name| kib_after(&status, name).with_context(|| format!("{} has no {name}", part.name()));
        Ok(ResidentMemory {
            now: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}

fn text(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

/// kube takes certificates as a kubeconfig has them.
fn encoded(pem: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(pem)
}

fn kib_after(status: &str, name: &str) -> Option<Bytes> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(Bytes::kib(line.split_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        let status = "VmPeak:\t  12 kB\nVmHWM:\t  20480 kB\nVmRSS:\t  10240 kB\n";
        assert_eq!(kib_after(status, "VmRSS:"), Some(Bytes::mib(10)));
        assert_eq!(kib_after(status, "VmHWM:"), Some(Bytes::mib(20)));
        assert_eq!(kib_after(status, "VmSwap:"), None);
    }
}
