//! Orders to the hollow nodes: namespaces that are no volumes come and go, as if a person with ndctl made them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use placement::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The connection to the process with the nodes.
pub(super) struct Orders {
    answers: BufReader<OwnedReadHalf>,
    orders: OwnedWriteHalf,
}

#[derive(Debug, Deserialize)]
struct Answer {
    /// When it was done, in nanoseconds since 1970.
    at: Option<u64>,
    error: Option<String>,
}

impl Orders {
    /// Connects to the socket of the nodes.
    ///
    /// # Errors
    /// Nobody listens.
    pub(super) async fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .context("connecting to the hollow nodes")?;
        let (answers, orders) = stream.into_split();
        Ok(Self {
            answers: BufReader::new(answers),
            orders,
        })
    }

    /// Makes a namespace and returns when it was there, in nanoseconds since 1970.
    ///
    /// # Errors
    /// The node cannot make it.
    pub(super) async fn create(&mut self, node: &str, name: &str, region: &str, footprint: Bytes) -> Result<u64> {
        let order = json!({ "do": "create", "node": node, "name": name, "region": region, "footprint": footprint });
        self.give(&order).await
    }

    /// Destroys a namespace and returns when it was gone.
    ///
    /// # Errors
    /// The node cannot do it.
    pub(super) async fn destroy(&mut self, node: &str, name: &str) -> Result<u64> {
        self.give(&json!({ "do": "destroy", "node": node, "name": name })).await
    }

    async fn give(&mut self, order: &Value) -> Result<u64> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        let mut line = String::new();
        self.answers.read_line(&mut line).await?;
        let answer: Answer =
            serde_json::from_str(&line).with_context(|| format!("the answer to {order} is {line:?}"))?;
        match answer {
            Answer { at: Some(at), .. } => Ok(at),
            Answer { error, .. } => bail!("{order}: {}", error.unwrap_or_default()),
        }
    }
}
