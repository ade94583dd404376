//! Real signals to a real process: this test starts itself once more as a program that does not end when it is told to.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// What the program says when it can be told to stop, and when it was.
const READY: &str = "receives signals";
const STOPPING: &str = "was told to stop";

/// The program; only [`start`] runs it.
#[tokio::test]
#[ignore = "never ends by itself"]
async fn a_program_that_hangs() {
    let stop = program::stop_on_signal(Duration::from_secs(3600)).unwrap();
    println!("\n{READY}");
    stop.cancelled().await;
    println!("\n{STOPPING}");
    std::future::pending::<()>().await;
}

fn start() -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "a_program_that_hangs"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut program = start();
    let pid = Pid::from_child(&program);
    let mut lines = BufReader::new(program.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line == READY));
    kill_process(pid, Signal::TERM).unwrap();
    assert!(lines.any(|line| line == STOPPING));
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(128 + 15));
}
