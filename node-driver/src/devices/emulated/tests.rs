use std::ffi::{OsStr, OsString};
use std::process::Command;

use placement::{Bytes, Extent, MapLocation, RegionId};

use super::*;

const FSDAX: Mode = Mode::Fsdax(MapLocation::Dev);

fn open(directory: &Path) -> Emulated {
    let regions = ["64Mi@0".parse().unwrap(), "128Mi@1".parse().unwrap()];
    Emulated::open(directory, &regions, Attach::Nothing).unwrap()
}

fn new(name: &str, region: usize, mib: u32) -> NewNamespace {
    NewNamespace {
        volume: name.into(),
        region: RegionId(format!("emulated-{region}")),
        footprint: Bytes::mib(mib),
    }
}

#[test]
fn a_volume_lives_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let devices = open(directory.path());
    devices.create(&new("a", 0, 28)).unwrap();
    assert!(matches!(devices.find_volume("a"), Err(DeviceError::Incomplete { .. })));
    devices.configure("a", FSDAX).unwrap();

    let devices = open(directory.path());
    let volume = devices.find_volume("a").unwrap().unwrap();
    assert_eq!(volume.usable, Bytes::mib(26));
    assert_eq!(fs::metadata(&volume.path).unwrap().len(), Bytes::mib(26).get_u64());
    assert_eq!(devices.find_volume("b").unwrap(), None);
}

#[test]
fn takes_the_lowest_hole_and_says_when_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let devices = open(directory.path());
    for (name, mib) in [("a", 16), ("b", 16), ("c", 32)] {
        devices.create(&new(name, 0, mib)).unwrap();
    }
    assert!(matches!(
        devices.create(&new("d", 0, 16)),
        Err(DeviceError::NoSpace { .. })
    ));
    devices.destroy("b", &[]).unwrap();
    devices.create(&new("d", 0, 16)).unwrap();
    let inventory = devices.inventory().unwrap();
    let (found, stage) = inventory.of_volume("d").unwrap().unwrap();
    assert_eq!(stage, Stage::Making);
    assert_eq!(found.extent, Extent::new(Bytes::mib(16), Bytes::mib(16)));
}

#[test]
fn all_bytes_can_be_read_and_zeroed() {
    let directory = tempfile::tempdir().unwrap();
    let devices = open(directory.path());
    devices.create(&new("a", 0, 16)).unwrap();
    devices.configure("a", FSDAX).unwrap();
    let path = devices.find_volume("a").unwrap().unwrap().path;
    fs::write(&path, vec![7; 8192]).unwrap();

    let raw = devices.open_raw("a").unwrap();
    assert_eq!(raw.size(), Bytes::mib(16));
    let mut buffer = vec![0; 4096];
    raw.read(Bytes::kib(4), &mut buffer).unwrap();
    assert!(buffer.iter().all(|byte| *byte == 7));
    raw.write_zeros(Bytes::kib(4), &[0; 4096]).unwrap();
    raw.flush().unwrap();
    raw.read(Bytes::kib(4), &mut buffer).unwrap();
    assert!(buffer.iter().all(|byte| *byte == 0));
    assert!(matches!(devices.find_volume("a"), Err(DeviceError::Incomplete { .. })));
}

#[test]
fn what_was_handed_out_is_neither_opened_raw_nor_destroyed() {
    let directory = tempfile::tempdir().unwrap();
    let devices = open(directory.path());
    devices.create(&new("a", 0, 16)).unwrap();
    devices.configure("a", FSDAX).unwrap();
    for stage in [Stage::HandedOut, Stage::InUse] {
        devices.mark("a", stage).unwrap();
        let refused = [
            devices.open_raw("a").map(drop),
            devices.configure("a", FSDAX),
            devices.destroy("a", &[]),
            devices.mark("a", Stage::Making),
        ];
        for refused in refused {
            assert!(matches!(refused, Err(DeviceError::WrongStage { .. })), "{refused:?}");
        }
        assert_eq!(devices.find_volume("a").unwrap().unwrap().stage, Some(stage));
    }
    devices.mark("a", Stage::Erasing).unwrap();
    devices.open_raw("a").unwrap();
    devices.destroy("a", &[]).unwrap();
}

#[test]
fn a_volume_of_before_there_were_marks_keeps_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let devices = open(directory.path());
    let region = RegionId("emulated-0".into());
    devices.create_foreign("a", &region, Bytes::mib(16)).unwrap();
    fs::write(directory.path().join("volumes/a.img"), "data").unwrap();
    let earlier = EarlierVolume {
        volume: "a".into(),
        region,
        extent: Extent::new(Bytes::ZERO, Bytes::mib(16)),
    };
    devices.mark_earlier(&earlier, Stage::InUse).unwrap();
    let devices = open(directory.path());
    let inventory = devices.inventory().unwrap();
    assert_eq!(inventory.of_volume("a").unwrap().unwrap().1, Stage::InUse);
    devices.mark("a", Stage::Erasing).unwrap();
    let mut start = [0; 4];
    devices.open_raw("a").unwrap().read(Bytes::ZERO, &mut start).unwrap();
    assert_eq!(&start, b"data");
}

#[test]
fn a_damaged_layout_is_an_error_and_not_an_empty_node() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path());
    fs::write(directory.path().join("layout.json"), "{").unwrap();
    let opened = Emulated::open(directory.path(), &[], Attach::Nothing);
    assert!(matches!(opened, Err(EmulatedError::Damaged { .. })));
}

/// The kubelet holds a raw block volume by a loop device over its block device, which is no exclusive opener.
#[test]
#[ignore = "needs root and loop devices"]
fn a_raw_block_volume_of_a_pod_is_not_erased() {
    let run = |program: &str, arguments: &[&OsStr]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        OsString::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    let directory = tempfile::tempdir().unwrap();
    let regions = ["64Mi@0".parse().unwrap()];
    let devices = Emulated::open(directory.path(), &regions, Attach::Loop).unwrap();
    devices.create(&new("a", 0, 28)).unwrap();
    devices.configure("a", FSDAX).unwrap();
    let device = devices.find_volume("a").unwrap().unwrap().path;
    let over = run("losetup", &["--find".as_ref(), "--show".as_ref(), device.as_os_str()]);
    let refused = devices.open_raw("a").map(drop).map_err(|error| error.to_string());
    run("losetup", &["--detach".as_ref(), &over]);
    let shown = format!(
        "loop device {} shows it",
        Path::new(&over).file_name().unwrap().display()
    );
    let refused = refused.unwrap_err();
    assert!(refused.ends_with(&shown), "{refused}");
    devices.open_raw("a").unwrap();
}
