//! Where the scheduler's time goes.

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::harness::command::capture;
use crate::harness::go;
use crate::harness::hollow::HollowCluster;

/// How long it is watched, from the first pod on.
const SECONDS: u32 = 15;
/// What compares a claim with the CSIStorageCapacity objects, for one node (`volumebinding/binder.go`).
const COMPARES: &str = "volumeBinder).hasEnoughCapacity";

/// The share of the scheduler's processor time that goes into comparing claims with CSIStorageCapacity objects.
pub(super) fn in_capacity(cluster: &HollowCluster) -> Result<impl Future<Output = Result<f64>> + use<>> {
    let profile = cluster.scheduler_profile(SECONDS)?;
    Ok(async {
        let mut command = Command::new(go::toolchain().await?);
        command.args(["tool", "pprof", "-top", "-cum", "-nodefraction=0"]);
        command.arg(profile.await?);
        let shown = capture(command).await.context("reading the scheduler's profile")?;
        share_of(&shown, COMPARES)
    })
}

/// The share of a function and all that it calls in what `pprof -top` prints; 0 if it was never seen at work.
fn share_of(shown: &str, function: &str) -> Result<f64> {
    let Some(line) = shown.lines().find(|line| line.ends_with(function)) else {
        return Ok(0.0);
    };
    let per_cent = line.split_whitespace().nth(4).and_then(|word| word.strip_suffix('%'));
    let per_cent: f64 = per_cent.with_context(|| format!("pprof prints {line:?}"))?.parse()?;
    Ok(per_cent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_all_that_a_function_calls_is_read() {
        let shown = "      flat  flat%   sum%        cum   cum%\n         \
                     0     0%     0%     15.66s 77.91%  k8s.io/x/volumebinding.(*volumeBinder).checkVolumeProvisions\n     \
                     2.1s 10.5%  10.5%     15.61s 77.66%  k8s.io/x/volumebinding.(*volumeBinder).hasEnoughCapacity\n";
        assert!((share_of(shown, COMPARES).unwrap() - 0.7766).abs() < 1e-9);
        assert!(share_of(shown, "nothing").unwrap().abs() < 1e-9);
    }
}
