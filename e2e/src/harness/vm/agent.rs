//! The harness's end of the line to the agent in the guest (`e2e/src/harness/guest/files/agent`).
//!
//! One line asks, `ID SCRIPT`, and one line answers, `ID STATUS OUT ERR`; script and outputs are base64. Requests run side
//! by side and are answered in the order in which they end. The first line of an agent is `ready`.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};
use base64::prelude::{BASE64_STANDARD, Engine};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How a command in the guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its exit status; 128 plus the signal's number when a signal ended it.
    pub(crate) status: i32,
    /// What it printed on standard output.
    pub(crate) stdout: String,
    /// What it printed on standard error.
    pub(crate) stderr: String,
}

type Requests = HashMap<u64, oneshot::Sender<Output>>;

/// The requests under way; none can be added once the line is closed.
#[derive(Debug, Default)]
struct Pending(Mutex<Option<Requests>>);

impl Pending {
    fn open() -> Self {
        Self(Mutex::new(Some(Requests::new())))
    }

    fn change<T>(&self, act: impl FnOnce(&mut Option<Requests>) -> T) -> T {
        // A panic elsewhere cannot leave a map half changed.
        let mut guard: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut guard)
    }
}

/// The line to one guest.
#[derive(Debug)]
pub(super) struct Agent {
    writer: tokio::sync::Mutex<Writer>,
    pending: Arc<Pending>,
    ready: watch::Receiver<bool>,
    reader: JoinHandle<()>,
}

#[derive(Debug)]
struct Writer {
    half: OwnedWriteHalf,
    last_id: u64,
}

/// A socket that QEMU will connect to.
#[derive(Debug)]
pub(super) struct Listening(UnixListener);

impl Listening {
    /// Listens at `socket`, which must not exist.
    pub(super) fn at(socket: &Path) -> Result<Self> {
        let listener = UnixListener::bind(socket).with_context(|| format!("listening at {}", socket.display()))?;
        Ok(Self(listener))
    }

    /// Waits for QEMU, which connects before it starts the guest.
    pub(super) async fn accept(self) -> Result<Agent> {
        let (stream, _) = self.0.accept().await.context("waiting for QEMU to connect")?;
        Ok(Agent::on(stream))
    }
}

impl Agent {
    fn on(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        let pending = Arc::new(Pending::open());
        let (announce, ready) = watch::channel(false);
        let reader = tokio::spawn(read_answers(
            BufReader::new(reader).lines(),
            Arc::clone(&pending),
            announce,
        ));
        Self {
            writer: tokio::sync::Mutex::new(Writer {
                half: writer,
                last_id: 0,
            }),
            pending,
            ready,
            reader,
        }
    }

    /// Waits until the agent in the guest is ready. It is an error if the machine ends before.
    pub(super) async fn ready(&self) -> Result<()> {
        let mut ready = self.ready.clone();
        ready
            .wait_for(|ready| *ready)
            .await
            .context("the machine ended before its agent was ready")?;
        Ok(())
    }

    /// Runs a bash script in the guest and waits for its end. It is an error if the machine ends before.
    pub(super) async fn run(&self, script: &str) -> Result<Output> {
        let answer = self.request(script).await?;
        answer.await.context("the machine ended while a command ran in it")
    }

    async fn request(&self, script: &str) -> Result<oneshot::Receiver<Output>> {
        let mut writer = self.writer.lock().await;
        writer.last_id += 1;
        let (id, (sender, answer)) = (writer.last_id, oneshot::channel());
        self.pending.change(|requests| {
            let requests = requests.as_mut().context("the machine has ended")?;
            requests.insert(id, sender);
            anyhow::Ok(())
        })?;
        let line = format!("{id} {}\n", BASE64_STANDARD.encode(script));
        writer
            .half
            .write_all(line.as_bytes())
            .await
            .context("asking the guest's agent")?;
        Ok(answer)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_answers(mut lines: Lines<BufReader<OwnedReadHalf>>, pending: Arc<Pending>, ready: watch::Sender<bool>) {
    loop {
        match lines.next_line().await {
            Ok(Some(line)) if line == "ready" => {
                ready.send_replace(true);
            }
            Ok(Some(line)) => match line.parse() {
                Ok(Answer { id, output }) => deliver(&pending, id, output),
                Err(error) => tracing::warn!("not an answer of the guest's agent: {error:#}: {line}"),
            },
            Ok(None) => break,
            Err(error) => {
                tracing::warn!("reading from the guest's agent: {error}");
                break;
            }
        }
    }
    // Dropping the senders ends every wait.
    pending.change(Option::take);
}

fn deliver(pending: &Pending, id: u64, output: Output) {
    let waiting = pending.change(|requests| requests.as_mut()?.remove(&id));
    if let Some(waiting) = waiting {
        // The caller may have stopped waiting.
        let _unheard = waiting.send(output);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    id: u64,
    output: Output,
}

impl FromStr for Answer {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [id, status, stdout, stderr] = fields[..] else {
            return Err(anyhow!("{} fields instead of 4", fields.len()));
        };
        let output = Output {
            status: status.parse()?,
            stdout: decoded(stdout)?,
            stderr: decoded(stderr)?,
        };
        Ok(Self {
            id: id.parse()?,
            output,
        })
    }
}

fn decoded(field: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&BASE64_STANDARD.decode(field)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::io::AsyncReadExt;

    fn connected() -> (Agent, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Agent::on(ours), theirs)
    }

    async fn asked(guest: &mut UnixStream) -> String {
        let mut bytes = vec![0; 1024];
        let length = guest.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_script_goes_out_and_its_end_comes_back() {
        let (agent, mut guest) = connected();
        let played = async {
            assert_eq!(asked(&mut guest).await, "1 ZWNobyBoaQ==\n");
            guest.write_all(b"ready\n1 3 aGkK \n").await.unwrap();
        };
        let (output, ()) = tokio::join!(agent.run("echo hi"), played);
        let expected = Output {
            status: 3,
            stdout: "hi\n".to_owned(),
            stderr: String::new(),
        };
        assert_eq!(output.unwrap(), expected);
        agent.ready().await.unwrap();
    }

    #[tokio::test]
    async fn answers_find_their_question_in_any_order() {
        let (agent, mut guest) = connected();
        let played = async {
            let mut lines = asked(&mut guest).await;
            while lines.lines().count() < 2 {
                lines += &asked(&mut guest).await;
            }
            guest.write_all(b"2 2  \n1 1  \n").await.unwrap();
        };
        let (first, second, ()) = tokio::join!(agent.run("a"), agent.run("b"), played);
        assert_eq!((first.unwrap().status, second.unwrap().status), (1, 2));
    }

    #[tokio::test]
    async fn a_machine_that_ends_ends_every_wait() {
        let (agent, guest) = connected();
        let (output, ready, ()) = tokio::join!(agent.run("sleep 9"), agent.ready(), async { drop(guest) });
        output.unwrap_err();
        ready.unwrap_err();
        agent.run("echo").await.unwrap_err();
    }
}
