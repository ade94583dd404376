//! Makes and destroys namespaces on hollow nodes that are no volumes, as a person with ndctl would, and kills their drivers.

use std::path::Path;

use anyhow::{Context, Result, bail};
use placement::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The connection to the process with the nodes.
pub(crate) struct NodeControl {
    answers: BufReader<OwnedReadHalf>,
    requests: OwnedWriteHalf,
}

#[derive(Debug, Deserialize)]
struct Answer {
    /// When it was done, in nanoseconds since 1970.
    at: Option<u64>,
    error: Option<String>,
}

impl NodeControl {
    /// Connects to the socket of the nodes.
    pub(crate) async fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .context("connecting to the hollow nodes")?;
        let (answers, requests) = stream.into_split();
        Ok(Self {
            answers: BufReader::new(answers),
            requests,
        })
    }

    /// Makes a namespace and returns when it was there, in nanoseconds since 1970.
    pub(crate) async fn create(&mut self, node: &str, name: &str, region: &str, footprint: Bytes) -> Result<u64> {
        let request = json!({ "do": "create", "node": node, "name": name, "region": region, "footprint": footprint });
        self.request(&request).await
    }

    /// Destroys a namespace and returns when it was gone.
    pub(crate) async fn destroy(&mut self, node: &str, name: &str) -> Result<u64> {
        self.request(&json!({ "do": "destroy", "node": node, "name": name }))
            .await
    }

    /// Kills the driver of a node, or starts it again.
    pub(crate) async fn drive(&mut self, node: &str, runs: bool) -> Result<()> {
        let order = json!({ "do": "drive", "node": node, "runs": runs });
        self.request(&order).await.map(drop)
    }

    async fn request(&mut self, request: &Value) -> Result<u64> {
        self.requests.write_all(format!("{request}\n").as_bytes()).await?;
        let mut line = String::new();
        self.answers.read_line(&mut line).await?;
        let answer: Answer =
            serde_json::from_str(&line).with_context(|| format!("the answer to {request} is {line:?}"))?;
        match answer {
            Answer { at: Some(at), .. } => Ok(at),
            Answer { error, .. } => bail!("{request}: {}", error.unwrap_or_default()),
        }
    }
}
