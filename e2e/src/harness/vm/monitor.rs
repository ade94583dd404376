//! QEMU's monitor: what no command in the guest can do to its hardware.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The socket at which the QEMU of the VM in `folder` answers (QMP).
pub(super) fn monitor_socket(folder: &Path) -> PathBuf {
    folder.join("monitor.sock")
}

/// Gives one command of the human monitor. It is an error if QEMU answers anything: such a command is silent when it works.
pub(super) async fn command(socket: &Path, line: &str) -> Result<()> {
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| format!("connecting to {}", socket.display()))?;
    let mut stream = BufReader::new(stream);
    // Nothing is taken before the capabilities are agreed on.
    for request in [
        json!({ "execute": "qmp_capabilities" }),
        json!({ "execute": "human-monitor-command", "arguments": { "command-line": line } }),
    ] {
        let request = format!("{request}\n");
        stream.get_mut().write_all(request.as_bytes()).await?;
        let said = answer(&mut stream)
            .await
            .with_context(|| format!("QEMU, asked for {line:?}"))?;
        if let Some(text) = said.as_str().filter(|text| !text.is_empty()) {
            bail!("QEMU answered {line:?} with {text}");
        }
    }
    Ok(())
}

/// The answer to the last request; greetings and events come in between.
async fn answer(stream: &mut BufReader<UnixStream>) -> Result<Value> {
    let mut text = String::new();
    loop {
        text.clear();
        if stream.read_line(&mut text).await? == 0 {
            bail!("it closed the monitor");
        }
        let mut message: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
        if let Some(error) = message.get("error") {
            bail!("{error}");
        }
        if let Some(answer) = message.get_mut("return") {
            return Ok(answer.take());
        }
    }
}
