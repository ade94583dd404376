use super::*;
use Filesystem::{Ext4, Xfs};

fn read(filesystem: Filesystem, flags: &[&str]) -> Result<Vec<String>, MountOptionError> {
    let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
    read_mount_options(filesystem, &flags)
}

/// Every option of mount(8) 2.38, ext4 and xfs (Linux 6.18) that names something else than the volume, or takes back what is
/// promised, and spellings that a parser might take for one of them.
const REFUSED: &[&str] = &[
    "logdev=/dev/sda",
    "rtdev=/dev/sda",
    "journal_dev=0x0801",
    "journal_path=/dev/sda",
    "usrjquota=aquota.user",
    "grpjquota=aquota.group",
    "jqfmt=vfsv0",
    "sb=32768",
    "mtpt=/x",
    "source=/dev/sda",
    "loop",
    "loop=/dev/loop3",
    "offset=4096",
    "sizelimit=4096",
    "encryption=aes",
    "bind",
    "rbind",
    "move",
    "remount",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
    "unbindable",
    "runbindable",
    "fd",
    "fd=3",
    "X-mount.subdir=x",
    "X-mount.mkdir",
    "x-mount.mkdir=0777",
    "X-mount.idmap=b:0:1:1",
    "X-mount.owner=1000",
    "x-systemd.automount",
    "X-anything",
    "verity.hashdevice=/dev/sda",
    "helper=x",
    "uhelper=x",
    "comment=x",
    "auto",
    "noauto",
    "user",
    "user=x",
    "users",
    "nouser",
    "owner",
    "group",
    "nofail",
    "_netdev",
    "silent",
    "loud",
    "mand",
    "resuid=1000",
    "resgid=1000",
    "nouid32",
    "noload",
    "norecovery",
    "nobarrier",
    "barrier=0",
    "abort",
    "debug",
    "errors=panic",
    "warn_on_error",
    "noblock_validity",
    "journal_async_commit",
    "stripe=16",
    "sunit=8",
    "swidth=8",
    "noalign",
    "test_dummy_encryption",
    "inlinecrypt",
    "smackfsroot=x",
    "seclabel",
    "Logdev=/dev/sda",
    "logdev",
    "noatime\\",
    "dax=",
    "commit=",
    "commit=/dev/sda",
    "commit=1,logdev=/dev/sda",
    "logbsize=256k=x",
    "=x",
    "errors=\"panic\"",
    "context=",
    "context=\"\"",
    "context=a\"b\"",
    "context=\"a,logdev=/dev/sda\"",
    "context=/etc/passwd",
    "context=\"a\"b",
    "rootcontext=@target",
    "\"ro\"",
    "ro=1",
    "noacl",
    "no-such-option",
];

#[test]
fn what_leads_elsewhere_is_refused_for_each_file_system() {
    for filesystem in [Ext4, Xfs] {
        for option in REFUSED {
            let read = read(filesystem, &["noatime", option]);
            assert!(read.is_err(), "{filesystem} takes {option}: {read:?}");
        }
    }
}

#[test]
fn what_is_allowed_for_one_file_system_is_not_for_the_other() {
    for (option, of, not_of) in [
        ("commit=30", Ext4, Xfs),
        ("errors=remount-ro", Ext4, Xfs),
        ("data=ordered", Ext4, Xfs),
        ("logbsize=256k", Xfs, Ext4),
        ("prjquota", Xfs, Ext4),
        ("inode64", Xfs, Ext4),
    ] {
        assert_eq!(read(of, &[option]), Ok(vec![option.to_owned()]));
        assert!(matches!(
            read(not_of, &[option]),
            Err(MountOptionError::NotAllowed { .. })
        ));
    }
}

#[test]
fn several_in_one_and_contexts_with_commas_are_read() {
    let options = read(Ext4, &["noatime,nodev", "", " ro ", "context=\"u:r:t:s0:c1,c2\",dax"]);
    assert_eq!(
        options.unwrap(),
        ["noatime", "nodev", "ro", "context=\"u:r:t:s0:c1,c2\"", "dax"]
    );
    assert!(matches!(
        read(Xfs, &["context=\"a"]),
        Err(MountOptionError::OpenQuote { .. })
    ));
}

#[test]
fn a_refusal_says_what_is_allowed() {
    let refused = read(Xfs, &["logdev=/dev/sda"]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "mount option \"logdev=/dev/sda\" is not one that a volume with xfs can have, such as ro, noatime, nosuid, nodev, \
         noexec, logbsize=256k, prjquota; docs/using.md has all of them: remove it from mountOptions of the StorageClass, \
         or of the PersistentVolume"
    );
    let refused = read(Ext4, &["errors=panic"]).unwrap_err().to_string();
    assert!(refused.contains("errors takes continue or remount-ro"), "{refused}");
}

/// What messages give as an example is allowed, and the page that they name has every option, and no other one.
#[test]
fn the_page_for_users_has_every_option() {
    let page = include_str!("../../../docs/using.md");
    let (_, section) = page.split_once("### Mount options").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let words = |table: &Allowed| {
        let flags = table.flags.iter().map(ToString::to_string);
        let values = table.values.iter().map(|(name, _)| format!("{name}="));
        flags.chain(values).collect::<Vec<_>>()
    };
    for (title, table) in [("| every |", EVERY), ("| ext4 |", EXT4), ("| xfs |", XFS)] {
        let line = section.lines().find(|line| line.starts_with(title)).unwrap();
        let written = line.split('`').skip(1).step_by(2);
        let written: Vec<_> = written.map(|word| word.split_inclusive('=').next().unwrap()).collect();
        assert_eq!(written, words(&table));
    }
    for (filesystem, flags) in [(Ext4, "errors=remount-ro,commit=30"), (Xfs, "logbsize=256k,prjquota")] {
        assert!(read(filesystem, &["ro,noatime,nosuid,nodev,noexec", flags]).is_ok());
    }
}
