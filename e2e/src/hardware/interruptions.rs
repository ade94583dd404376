//! SIGKILL and power cuts between each two steps of make, hand out, use again and erase, on a real kernel: nothing is lost,
//! shown to another, or leaked.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, ensure};
use placement::{Bytes, Extent};

use super::driver::{bytes_left, dirty};
use super::group::{Group, case};
use super::marks::device;
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{Effect, TestVm, VOLUME, effects, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "interruptions",
        machine: || Machine::light("interruptions"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(sigkill_between_any_two_steps_loses_shows_and_leaks_nothing),
            case!(a_power_cut_between_steps_loses_shows_and_leaks_nothing),
        ],
    }
}

/// A part of a volume's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Make,
    /// Formatted, marked as in use, mounted.
    HandOut,
    /// Mounted again, with a file in it.
    UseAgain,
    Erase,
}

const PARTS: [Part; 4] = [Part::Make, Part::HandOut, Part::UseAgain, Part::Erase];

impl Part {
    /// What has to be done before it.
    fn preparation(self) -> String {
        let make = "set -e; mkdir -p /tmp/vol";
        let create = format!("{VOLUME} create --numa 0 vol 14Mi >/dev/null 2>&1");
        let stage = format!("{VOLUME} stage --fs ext4 vol /tmp/vol 2>/dev/null");
        let used = format!("{make}; {create}; {stage}; yes kept | head -c 1000000 >/tmp/vol/file; umount /tmp/vol");
        match self {
            Self::Make => make.to_owned(),
            Self::HandOut => format!("{make}; {create}"),
            Self::UseAgain | Self::Erase => used,
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Make => "create --numa 0 vol 14Mi",
            Self::HandOut | Self::UseAgain => "stage --fs ext4 vol /tmp/vol",
            Self::Erase => "delete --destroy-data vol",
        }
    }

    /// Finishes it after an interruption, and fails if anything is not as it should be. Leaves the volume used, or none.
    async fn finish(self, vm: &TestVm) -> Result<()> {
        vm.run("umount /tmp/vol 2>/dev/null").await?;
        let ours = inventory(vm).await?.namespaces.len();
        ensure!(ours <= 1, "{ours} namespaces");
        let again = format!("{VOLUME} {}", self.command());
        match self {
            Self::Make => {
                vm.shell(&again).await?;
                let device = device(vm, "vol").await?;
                let shown = vm.shell(&format!("tr -d '\\0' <{device} | wc -c")).await?;
                ensure!(shown.trim() == "0", "{shown} bytes of an earlier tenant are shown");
            }
            Self::HandOut => {
                let write = "echo new >/tmp/vol/file && cat /tmp/vol/file && umount /tmp/vol";
                let written = vm.shell(&format!("mkdir -p /tmp/vol; {again} && {write}")).await?;
                ensure!(written == "new\n", "{written}");
            }
            Self::UseAgain => {
                let read = "grep -c kept /tmp/vol/file && umount /tmp/vol";
                let kept = vm.shell(&format!("mkdir -p /tmp/vol; {again} && {read}")).await?;
                ensure!(kept.trim() == "200000", "{kept} lines of 200000 are left");
            }
            Self::Erase if ours == 0 => {}
            Self::Erase => _ = vm.shell(&again).await?,
        }
        Ok(())
    }
}

/// An interruption: after which effect of which part.
#[derive(Clone, Debug)]
struct Interruption {
    part: Part,
    effect: Effect,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, Effect { number, name }) = (self.part, &self.effect);
        write!(f, "{:<9} after {number:>3} {name}", format!("{part:?}"))
    }
}

/// Every effect of a part, from one run of it that is not interrupted. Of many zeros, the first, one in the middle and the
/// last.
async fn interruptions(vm: &TestVm, part: Part) -> Result<Vec<Interruption>> {
    dirty(vm).await?;
    let run = format!("{}; {VOLUME} {} 2>&1 >/dev/null", part.preparation(), part.command());
    let printed = vm.shell(&run).await?;
    part.finish(vm).await?;
    clean_up(vm).await?;
    let effects = effects(&printed)?.into_iter();
    let mut all: Vec<Interruption> = effects.map(|effect| Interruption { part, effect }).collect();
    ensure!(!all.is_empty(), "{part:?} has no effects: {printed}");
    let zeros: Vec<u64> = all
        .iter()
        .filter(|each| each.effect.name == "zero")
        .map(|each| each.effect.number)
        .collect();
    let chosen = [zeros.first(), zeros.get(zeros.len() / 2), zeros.last()];
    all.retain(|each| each.effect.name != "zero" || chosen.contains(&Some(&each.effect.number)));
    Ok(all)
}

/// Erases the volume if there is one, and fails if bytes of it, or space, are left.
async fn clean_up(vm: &TestVm) -> Result<()> {
    if !inventory(vm).await?.namespaces.is_empty() {
        vm.shell(&format!("{VOLUME} delete --destroy-data vol")).await?;
    }
    let seen = inventory(vm).await?;
    let all = Extent::new(Bytes::ZERO, Bytes::mib(512));
    ensure!(seen.on(0)?.free == [all], "space is leaked: {seen:?}");
    let (shown, _) = bytes_left(vm, Bytes::mib(16)).await?;
    ensure!(shown == 0, "{shown} bytes of a tenant are in free space");
    Ok(())
}

#[derive(Debug, Default)]
struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    fn print(&self) {
        let counts: Vec<String> = self.0.iter().map(|(part, count)| format!("{part} {count}")).collect();
        println!("  interruptions: {}; 0 lost, 0 shown, 0 leaked", counts.join(", "));
    }
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Make => "make",
        Part::HandOut => "hand out",
        Part::UseAgain => "use again",
        Part::Erase => "erase",
    }
}

async fn sigkill_between_any_two_steps_loses_shows_and_leaks_nothing(vm: &mut TestVm) -> Result<()> {
    let mut tally = Tally::default();
    for part in PARTS {
        for each in interruptions(vm, part).await? {
            dirty(vm).await?;
            vm.shell(&part.preparation()).await?;
            let killed = vm
                .run(&format!(
                    "{VOLUME} {} --kill-after {}",
                    part.command(),
                    each.effect.number
                ))
                .await?;
            ensure!(killed.status == 137, "{each}: was not killed: {killed:?}");
            part.finish(vm).await.with_context(|| format!("SIGKILL {each}"))?;
            clean_up(vm).await.with_context(|| format!("SIGKILL {each}"))?;
            println!("  SIGKILL   {each} ... converged");
            *tally.0.entry(name(part)).or_default() += 1;
        }
    }
    tally.print();
    Ok(())
}

/// Where the device says something new, and once in the middle of zeros: each power cut costs a boot.
const POWER_CUTS: [&str; 8] = [
    "create",
    "configure",
    "mark-HandedOut",
    "format",
    "mark-InUse",
    "mark-Erasing",
    "zero",
    "destroy",
];

async fn a_power_cut_between_steps_loses_shows_and_leaks_nothing(vm: &mut TestVm) -> Result<()> {
    let mut tally = Tally::default();
    for part in PARTS {
        let mut all = interruptions(vm, part).await?;
        all.retain(|each| POWER_CUTS.contains(&&*each.effect.name));
        all.dedup_by(|a, b| a.effect.name == b.effect.name);
        for each in all {
            dirty(vm).await?;
            vm.shell(&part.preparation()).await?;
            let run = format!(
                "{VOLUME} {} --stop-after {} >/tmp/out 2>&1 &",
                part.command(),
                each.effect.number
            );
            vm.shell(&format!("{run} until grep -q ^stopped /tmp/out; do sleep 0.1; done"))
                .await?;
            vm.cut_power().await?;
            part.finish(vm).await.with_context(|| format!("power cut {each}"))?;
            clean_up(vm).await.with_context(|| format!("power cut {each}"))?;
            println!("  power cut {each} ... converged");
            *tally.0.entry(name(part)).or_default() += 1;
        }
    }
    tally.print();
    Ok(())
}
