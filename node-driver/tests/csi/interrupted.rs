//! Callers that give up, and a driver that is told to stop, while work goes on.

use std::future::Future;

use tokio::time::{sleep, timeout};
use tonic::Code;

use super::driver::{Driver, TIME_LIMIT};

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
    timeout(TIME_LIMIT, work).await.expect("in time")
}

#[tokio::test]
async fn a_second_call_is_aborted_while_the_first_works() {
    let mut driver = Driver::new().await;
    driver.kernel.state().format_waits = true;
    let mut kubelet = driver.node.clone();
    let call = driver.stage();
    let first = tokio::spawn(async move { kubelet.node_stage_volume(call).await });
    until(|| !driver.kernel.calls().is_empty()).await;
    let refused = [
        driver.node.node_stage_volume(driver.stage()).await.unwrap_err(),
        driver.node.node_unstage_volume(driver.unstage()).await.unwrap_err(),
        driver.node.node_publish_volume(driver.publish()).await.unwrap_err(),
        driver.node.node_unpublish_volume(driver.unpublish()).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.code(), Code::Aborted, "{refused}");
    }
    driver.kernel.let_format_go_on();
    in_time(first).await.unwrap().unwrap();
    driver.node.node_publish_volume(driver.publish()).await.unwrap();
}

#[tokio::test]
async fn work_goes_on_when_the_caller_gives_up() {
    let mut driver = Driver::new().await;
    driver.kernel.state().format_waits = true;
    let mut kubelet = driver.node.clone();
    let call = driver.stage();
    let first = tokio::spawn(async move { kubelet.node_stage_volume(call).await });
    until(|| !driver.kernel.calls().is_empty()).await;
    first.abort();
    assert!(in_time(first).await.unwrap_err().is_cancelled());
    let again = driver.node.node_stage_volume(driver.stage()).await;
    assert_eq!(again.unwrap_err().code(), Code::Aborted);
    driver.kernel.let_format_go_on();
    until(|| driver.kernel.state().mounts.len() == 1).await;
    let calls = driver.kernel.calls();
    let done = in_time(async {
        loop {
            match driver.node.node_stage_volume(driver.stage()).await {
                Err(status) if status.code() == Code::Aborted => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
    });
    done.await.unwrap();
    assert_eq!(driver.kernel.calls(), calls, "nothing is done twice");
}

#[tokio::test]
async fn stopping_waits_for_work() {
    let driver = Driver::new().await;
    driver.kernel.state().format_waits = true;
    let mut kubelet = driver.node.clone();
    let call = driver.stage();
    let first = tokio::spawn(async move { kubelet.node_stage_volume(call).await });
    until(|| !driver.kernel.calls().is_empty()).await;
    driver.shutdown.cancel();
    assert!(!driver.server.is_finished());
    driver.kernel.let_format_go_on();
    in_time(first).await.unwrap().unwrap();
    in_time(driver.server).await.unwrap().unwrap();
    assert!(!driver.dir.path().join("csi.sock").exists());
}
