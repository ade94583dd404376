//! `libs/ndctl` on a real kernel: its `ndctl-probe` prints what it sees, one JSON object a line.

use anyhow::{Context, Result, ensure};
use placement::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::group::{Group, case};
use crate::harness::programs::NDCTL_PROBE;
use crate::harness::test_vm::TestVm;
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "ndctl",
        machine: || Machine::light("ndctl"),
        programs: &[NDCTL_PROBE],
        cases: vec![
            case!(regions_look_as_they_were_made),
            case!(placement_knows_what_every_size_offers),
            case!(the_kernel_takes_the_lowest_hole_that_fits),
            case!(old_bytes_stay_until_they_are_zeroed),
            case!(refusals_say_why_and_leave_nothing),
            case!(reading_keeps_no_memory),
        ],
    }
}

/// What the probe prints.
pub(super) async fn probe(vm: &TestVm, arguments: &str) -> Result<Vec<Value>> {
    let printed = vm.shell(&format!("/mnt/files/ndctl-probe {arguments}")).await?;
    let lines = printed.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .with_context(|| format!("not JSON: {printed}"))
}

async fn regions_look_as_they_were_made(vm: &mut TestVm) -> Result<()> {
    let seen = probe(vm, "list").await?;
    let mut regions: Vec<&Value> = seen.iter().filter_map(|line| line.get("region")).collect();
    regions.sort_by_key(|region| region["numa_node"].as_i64());
    ensure!(regions.len() == 2, "{regions:?}");
    for (numa_node, region) in regions.iter().enumerate() {
        let dimm = &region["mappings"][0]["dimm"];
        ensure!(region["numa_node"] == numa_node, "{region}");
        ensure!(region["size"] == Bytes::mib(512).get(), "{region}");
        ensure!(region["bus"]["provider"] == "ACPI.NFIT", "{region}");
        ensure!(region["labels"] == true && region["kind"] == "Pmem", "{region}");
        ensure!(dimm["labels"]["free_slots"] == 16_347, "{dimm}");
        ensure!(dimm["id"].is_string(), "{dimm}");
    }
    Ok(())
}

/// One namespace that was tried.
#[derive(Debug, Deserialize)]
struct Tried {
    /// How it was to be used.
    #[serde(rename = "use")]
    purpose: String,
    /// Bytes that its block device had; none if it did not start.
    #[serde(default)]
    usable: Bytes,
    /// Bytes that `placement` computes; none for those with an odd start.
    predicted: Option<Bytes>,
}

async fn placement_knows_what_every_size_offers(vm: &mut TestVm) -> Result<()> {
    let lines = probe(vm, "sizes region0").await?;
    ensure!(lines.len() > 100, "only {} sizes tried", lines.len());
    for line in lines {
        let tried = Tried::deserialize(&line)?;
        match tried.predicted {
            Some(predicted) => ensure!(tried.usable == predicted, "{line}"),
            None if tried.purpose.starts_with("fsdax") => ensure!(tried.usable.is_zero(), "{line}"),
            None => ensure!(!tried.usable.is_zero(), "{line}"),
        }
    }
    Ok(())
}

async fn the_kernel_takes_the_lowest_hole_that_fits(vm: &mut TestVm) -> Result<()> {
    let lines = probe(vm, "holes region0").await?;
    let step = |name: &str| {
        lines
            .iter()
            .find(|line| line["step"] == name)
            .context("a step is missing")
    };
    let start = |line: &Value, name: &str| {
        let taken = line["taken"].as_array().into_iter().flatten();
        taken
            .filter(|piece| piece["name"] == name)
            .find_map(|piece| piece["start"].as_i64())
    };
    let last = step("34 MiB more")?;
    ensure!(start(last, "small") == Some(Bytes::mib(64).get()), "{last}");
    ensure!(start(last, "large") == Some(Bytes::mib(112).get()), "{last}");
    let full = step("largest extent taken")?;
    ensure!(full["available"] == Bytes::mib(96).get(), "{full}");
    ensure!(full["max_available_extent"] == Bytes::mib(94).get(), "{full}");
    let empty = step("empty")?;
    ensure!(empty["available"] == Bytes::mib(512).get(), "{empty}");
    Ok(())
}

async fn old_bytes_stay_until_they_are_zeroed(vm: &mut TestVm) -> Result<()> {
    let lines = probe(vm, "erase region0").await?;
    let of = |key: &'static str| lines.iter().filter_map(move |line| line.get(key));
    ensure!(
        of("sees_old_bytes").count() == 2 && of("sees_old_bytes").all(|seen| *seen == true),
        "{lines:?}"
    );
    ensure!(
        of("left_after_erasing").count() == 2 && of("left_after_erasing").all(|left| *left == 0),
        "{lines:?}"
    );
    ensure!(of("zeroed").all(|zeroed| *zeroed == Bytes::mib(28).get()), "{lines:?}");
    Ok(())
}

async fn refusals_say_why_and_leave_nothing(vm: &mut TestVm) -> Result<()> {
    let lines = probe(vm, "limits region0").await?;
    let refused = [
        ("align 3 MiB", "os error 22"),
        ("size 3 MiB", "os error 22"),
        ("size 514 MiB", "os error 28"),
        ("delete an enabled namespace", "is in use"),
        ("size of an enabled namespace", "os error 16"),
        ("delete what is gone", "there is no device"),
        ("disable a mounted namespace", "os error 16"),
        ("align 2 MiB", "accepted"),
        ("disable twice", "accepted"),
        ("enable as written", "accepted"),
    ];
    for (tried, expected) in refused {
        let line = lines
            .iter()
            .find(|line| line["tried"] == tried)
            .with_context(|| format!("{tried} was not tried"))?;
        ensure!(
            line["seen"].as_str().is_some_and(|seen| seen.contains(expected)),
            "{line}"
        );
    }
    let kept = lines
        .iter()
        .find_map(|line| line.get("after_restart"))
        .context("the region was not restarted")?;
    ensure!(
        kept["name"] == "stays" && kept["size"] == Bytes::mib(28).get(),
        "{kept}"
    );
    Ok(())
}

async fn reading_keeps_no_memory(vm: &mut TestVm) -> Result<()> {
    let lines = probe(vm, "reads").await?;
    let line = lines.first().context("nothing was read")?;
    let grown = Bytes::deserialize(&line["grown"])?;
    ensure!(grown <= Bytes::mib(1), "{line}");
    Ok(())
}
