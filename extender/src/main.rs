//! The scheduler extender of Daxfit; see the library for what it does.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use cluster::ObjectKey;
use extender::args::{Cli, Command, Endpoint, Options};
use extender::decide::NodeChoice;
use extender::probe::{Question, probe};
use extender::serve::Server;
use extender::tls::TlsDirectory;
use extender::{Extender, Settings};
use program::{DRAIN_LIMIT, start_log, stop_on_signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Probe { live }) => {
            let question = if live { Question::IsAlive } else { Question::IsReady };
            let directory = TlsDirectory::new(cli.endpoint.tls_dir);
            Ok(probe(cli.endpoint.listen, &directory, question).await?)
        }
        None => run(cli.endpoint, cli.options).await,
    }
}

async fn run(endpoint: Endpoint, options: Options) -> anyhow::Result<()> {
    start_log(options.log_format);
    let stop = stop_on_signal(DRAIN_LIMIT).context("signals cannot be received")?;
    let server = Server::bind(endpoint.listen, TlsDirectory::new(endpoint.tls_dir)).await?;
    let client = kube::Client::try_default()
        .await
        .context("no credentials for the API server")?;
    let choice = NodeChoice {
        policy: options.score,
        candidates: options.candidates.get().into(),
    };
    let settings = Settings {
        choice,
        reserved_for: Duration::from_secs(options.reservation_seconds.get().into()),
        wake_object: ObjectKey::new(&options.namespace, &options.wake_object),
    };
    let Extender { app, pumps, .. } = Extender::start(client, &settings, &stop);
    tracing::info!(address = %server.address(), score = %options.score, "listening");
    server.run(app, stop.clone()).await?;
    stop.cancel();
    pumps.join_all().await;
    Ok(())
}
