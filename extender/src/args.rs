//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use placement::Policy;
use program::LogFormat;

use crate::wake::WAKE_OBJECT;

/// Tells kube-scheduler which nodes have room for a pod's persistent memory, byte by byte.
///
/// Runs beside each kube-scheduler, which calls it on this host over HTTPS with a client certificate. It reads the
/// cluster with the credentials of its pod, or of a kubeconfig, and writes nothing to it but events on claims, and one object to wake
/// pods that wait.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show them as the text of the command")]
    pub endpoint: Endpoint,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show them as the text of the command")]
    pub options: Options,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "clap would show them as the text of the command")]
    pub command: Option<Command>,
}

/// Where the extender is called, and with what certificates.
#[derive(Debug, Args)]
pub struct Endpoint {
    /// Address and port to be called on.
    #[arg(
        long,
        env = "DAXFIT_EXTENDER_LISTEN",
        default_value = "127.0.0.1:10361",
        global = true
    )]
    pub listen: SocketAddr,
    /// Directory with ca.crt, server.crt, server.key, client.crt and client.key. Where there are none, the extender makes
    /// them and renews them in time; files that it did not make are used and never written.
    #[arg(
        long,
        env = "DAXFIT_EXTENDER_TLS_DIR",
        default_value = "/etc/kubernetes/daxfit",
        global = true
    )]
    pub tls_dir: PathBuf,
}

/// How the extender decides, and how it writes its log.
#[derive(Debug, Args)]
pub struct Options {
    /// Which of the nodes with room is best: "pack" keeps large extents whole, "spread" prefers the most free bytes.
    #[arg(long, env = "DAXFIT_EXTENDER_SCORE", default_value_t = Policy::Pack)]
    pub score: Policy,
    /// How many nodes to pass for a pod at most. Space is reserved on each until the scheduler is seen to have taken one, so more
    /// nodes give other preferences a say, and keep more space from others for a moment. In a burst one node passes.
    #[arg(long, env = "DAXFIT_EXTENDER_CANDIDATES", default_value = "8")]
    pub candidates: NonZeroU16,
    /// How long space stays reserved for a pod of which nothing more is heard.
    #[arg(long, env = "DAXFIT_EXTENDER_RESERVATION_SECONDS", default_value = "120")]
    pub reservation_seconds: NonZeroU16,
    /// Namespace of Daxfit, where the object is that wakes pods.
    #[arg(long, env = "POD_NAMESPACE", default_value = "daxfit-system")]
    pub namespace: String,
    /// Name of that object, a CSIStorageCapacity.
    #[arg(long, env = "DAXFIT_EXTENDER_WAKE_OBJECT", default_value = WAKE_OBJECT)]
    pub wake_object: String,
    /// How to write the log. The environment variable `RUST_LOG` says how much of it, such as "info,extender=debug".
    #[arg(long, env = "DAXFIT_EXTENDER_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// What else it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask the extender on this host whether it is ready, for an exec probe: exits with 0 if it is.
    Probe {
        /// Only whether it answers.
        #[arg(long)]
        live: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_probe_takes_the_same_endpoint() {
        let cli = Cli::parse_from(["daxfit-extender", "probe", "--tls-dir=/x", "--listen=127.0.0.1:1"]);
        assert!(matches!(cli.command, Some(Command::Probe { live: false })));
        assert_eq!(cli.endpoint.tls_dir, PathBuf::from("/x"));
        assert_eq!(cli.endpoint.listen.port(), 1);
        assert!(Cli::try_parse_from(["daxfit-extender", "--score=best"]).is_err());
    }
}
