//! Callers that give up, and a driver that is told to stop, while work goes on.

use std::future::Future;

use tokio::time::{sleep, timeout};
use tonic::Code;

use super::bench::{Bench, PATIENCE};

/// Waits for a condition, for as long as a loaded machine may take.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    in_time(wait).await;
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("in time")
}

#[tokio::test]
async fn a_second_call_is_aborted_while_the_first_works() {
    let mut bench = Bench::new().await;
    bench.kernel.state().format_waits = true;
    let mut kubelet = bench.node.clone();
    let call = bench.stage();
    let first = tokio::spawn(async move { kubelet.node_stage_volume(call).await });
    until(|| !bench.kernel.calls().is_empty()).await;
    let refused = [
        bench.node.node_stage_volume(bench.stage()).await.unwrap_err(),
        bench.node.node_unstage_volume(bench.unstage()).await.unwrap_err(),
        bench.node.node_publish_volume(bench.publish()).await.unwrap_err(),
        bench.node.node_unpublish_volume(bench.unpublish()).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.code(), Code::Aborted, "{refused}");
    }
    bench.kernel.let_format_go_on();
    in_time(first).await.unwrap().unwrap();
    bench.node.node_publish_volume(bench.publish()).await.unwrap();
}

#[tokio::test]
async fn work_goes_on_when_the_caller_gives_up() {
    let mut bench = Bench::new().await;
    bench.kernel.state().format_waits = true;
    let mut kubelet = bench.node.clone();
    let call = bench.stage();
    let first = tokio::spawn(async move { kubelet.node_stage_volume(call).await });
    until(|| !bench.kernel.calls().is_empty()).await;
    first.abort();
    assert!(in_time(first).await.unwrap_err().is_cancelled());
    let again = bench.node.node_stage_volume(bench.stage()).await;
    assert_eq!(again.unwrap_err().code(), Code::Aborted);
    bench.kernel.let_format_go_on();
    until(|| bench.kernel.state().mounts.len() == 1).await;
    let calls = bench.kernel.calls();
    let done = in_time(async {
        loop {
            match bench.node.node_stage_volume(bench.stage()).await {
                Err(status) if status.code() == Code::Aborted => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
    });
    done.await.unwrap();
    assert_eq!(bench.kernel.calls(), calls, "nothing is done twice");
}

#[tokio::test]
async fn stopping_waits_for_work() {
    let bench = Bench::new().await;
    bench.kernel.state().format_waits = true;
    let mut kubelet = bench.node.clone();
    let call = bench.stage();
    let first = tokio::spawn(async move { kubelet.node_stage_volume(call).await });
    until(|| !bench.kernel.calls().is_empty()).await;
    bench.shutdown.cancel();
    assert!(!bench.server.is_finished());
    bench.kernel.let_format_go_on();
    in_time(first).await.unwrap().unwrap();
    in_time(bench.server).await.unwrap().unwrap();
    assert!(!bench.dir.path().join("csi.sock").exists());
}
