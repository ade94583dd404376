//! One run on one machine.

use anyhow::Result;
use fastrand::Rng;
use placement::Bytes;

use super::choose::choose;
use super::counts::Counts;
use super::crash_points::CrashPoints;
use super::ending::Ending;
use super::log::Log;
use super::matrix::Matrix;
use super::operation::Operation;
use super::world::World;
use crate::harness::test_vm::TestVm;
use crate::harness::vm::DeviceBytes;

/// One run on one machine.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) vm: TestVm,
    pub(super) seed: u64,
    /// Each operation has a generator of its own: how one went does not change what is drawn for the next.
    pub(super) rng: Rng,
    pub(super) world: World,
    pub(super) points: CrashPoints,
    pub(super) matrix: Matrix,
    pub(super) counts: Counts,
    pub(super) log: Log,
    /// Interruptions whose outcome is not known yet.
    pub(super) pending: Vec<Ending>,
}

impl Session {
    /// A run that has not begun.
    pub(super) fn new(vm: TestVm, seed: u64, log: Log) -> Self {
        Self {
            vm,
            seed,
            rng: Rng::with_seed(seed),
            world: World::default(),
            points: CrashPoints::default(),
            matrix: Matrix::default(),
            counts: Counts::default(),
            log,
            pending: Vec::new(),
        }
    }

    /// Draws the next operation, carries it out, and checks what it left.
    pub(super) async fn step(&mut self) -> Result<()> {
        self.rng = Rng::with_seed(self.seed.wrapping_add(self.counts.operations << 32));
        let operation = choose(&self.world, &mut self.rng);
        self.carry_out(operation).await
    }

    /// Carries out an operation.
    pub(super) async fn carry_out(&mut self, operation: Operation) -> Result<()> {
        self.counts.operations += 1;
        self.log.line(&format!("{:>4} {operation}", self.counts.operations))?;
        match operation {
            Operation::Make(volume) => self.make(volume).await,
            Operation::Stage(name) => self.stage(&name).await,
            Operation::Write(name, piece) => self.write(&name, piece).await,
            Operation::Compare(name) => self.compare(&name).await,
            Operation::Unstage(name) => self.unstage(&name).await,
            Operation::Erase(name) => self.erase(&name).await,
            Operation::Sweep => self.sweep().await,
            Operation::MakeForeign(foreign) => self.make_foreign(foreign).await,
            Operation::DestroyForeign(name) => self.destroy_foreign(&name).await,
        }
    }

    /// The module whose bytes are the region of a NUMA node.
    pub(super) fn module(&self, numa: u32) -> Result<DeviceBytes> {
        self.vm.nvdimm_data(usize::try_from(numa)?)
    }

    /// Counts bytes that were compared.
    pub(super) fn checked(&mut self, bytes: Bytes) {
        self.counts.bytes_checked += bytes.get_u64();
    }
}
