//! How long a machine takes for the life of many volumes: of a whole history, this is the part of the hardware.
//!
//! `cargo run --release -p simulation --example machine-speed`

use std::hint::black_box;
use std::time::{Duration, Instant};

use node_driver::devices::{Devices, NewNamespace, Stage};
use placement::{Bytes, MapLocation, Mode, RegionId};
use simulation::devices::{Fuse, Machine, RegionSpec};

/// What the driver writes or reads at once.
const CHUNK: usize = 1 << 20;
const VOLUMES: u32 = 40;
const ROUNDS: u32 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let region = RegionSpec {
        id: "r0".into(),
        numa: None,
        size: Bytes::gib(1),
        alignment: Bytes::mib(2),
    };
    let mut buffer = vec![0; CHUNK];
    let (mut total, mut reading) = (Duration::ZERO, Duration::ZERO);
    let (mut listing, mut truth, mut violations) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let machine = Machine::new("node", std::slice::from_ref(&region));
        let devices = machine.devices(&Fuse::new());
        for volume in 0..VOLUMES {
            reading += make(&*devices, &format!("pvc-{volume}"), &mut buffer)?;
        }
        total += begin.elapsed();
        let begin = Instant::now();
        devices.inventory()?;
        listing += begin.elapsed();
        let begin = Instant::now();
        black_box(machine.truth());
        truth += begin.elapsed();
        let begin = Instant::now();
        black_box(machine.violations());
        violations += begin.elapsed();
    }
    let (total, reading) = (total / ROUNDS, reading / ROUNDS);
    println!("{VOLUMES} volumes are made: {total:?}, {reading:?} of it reading raw bytes");
    let (listing, truth, violations) = (listing / ROUNDS, truth / ROUNDS, violations / ROUNDS);
    println!("a listing {listing:?}, the truth {truth:?}, the violations {violations:?}");
    Ok(())
}

/// As the driver does, with two scrubs: one that finds an earlier tenant's bytes, and one that finds zeros.
fn make(devices: &dyn Devices, volume: &str, buffer: &mut [u8]) -> Result<Duration, Box<dyn std::error::Error>> {
    let footprint = Bytes::mib(16);
    devices.inventory()?;
    devices.create(&NewNamespace {
        volume: volume.into(),
        region: RegionId("r0".into()),
        footprint,
    })?;
    let mut reading = Duration::ZERO;
    for _ in 0..2 {
        let raw = devices.open_raw(volume)?;
        for chunk in 0..16 {
            let begin = Instant::now();
            raw.read(Bytes::mib(chunk), buffer)?;
            reading += begin.elapsed();
            raw.write_zeros(Bytes::mib(chunk), buffer)?;
        }
        raw.flush()?;
        devices.inventory()?;
    }
    devices.configure(volume, Mode::Fsdax(MapLocation::Dev))?;
    devices.mark(volume, Stage::HandedOut)?;
    Ok(reading)
}
