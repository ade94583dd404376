//! What a virtual machine consists of, and the QEMU command line that makes it.

use std::path::{Path, PathBuf};

use placement::Bytes;

use super::accel::Accel;
use crate::harness::guest::Guest;

/// Which of the two ways the one root image starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// A script of ours as init, with the agent and nothing else: a shell in some 10 s under software emulation.
    Light,
    /// systemd, containerd and the kubelet; see `guest/files/daxfit-node.service`.
    Node,
}

/// An emulated NVDIMM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nvdimm {
    /// What the region will have.
    pub(crate) data: Bytes,
    /// Size of the label area, zero for a DIMM that has none. QEMU takes it out of the backing file.
    pub(crate) labels: Bytes,
    /// The NUMA node it sits on.
    pub(crate) numa_node: u32,
}

impl Nvdimm {
    /// A DIMM with a 2 MiB label area, which has 16,347 free slots.
    pub(crate) const fn labelled(data: Bytes, numa_node: u32) -> Self {
        Self {
            data,
            labels: Bytes::mib(2),
            numa_node,
        }
    }

    fn backing(&self) -> Bytes {
        self.data.plus(self.labels)
    }
}

/// A disk image, mounted read-only in the guest at `/mnt/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// At most 20 bytes (a virtio block device's serial number).
    pub(crate) name: String,
    /// An ext4 file system, see `guest::pack`. It is never written to.
    pub(crate) image: PathBuf,
    /// Whether the guest may mount it to write; what it writes is gone when the machine ends.
    pub(crate) scratch: bool,
}

impl Disk {
    fn option(&self) -> &'static str {
        if self.scratch { "snapshot=on" } else { "readonly=on" }
    }
}

/// A network card on a tap device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// The network namespace in which the tap is and QEMU is started, such as `/proc/PID/ns/net`.
    pub(crate) namespace: PathBuf,
    /// The tap device.
    pub(crate) tap: String,
    /// The card's hardware address.
    pub(crate) mac: String,
}

/// A virtual machine that is not running.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The guest's host name, and the name of its console log.
    pub(crate) name: String,
    /// How it starts.
    pub(crate) profile: Profile,
    /// RAM of each of the two NUMA nodes, which have one CPU each.
    pub(crate) memory_per_numa_node: Bytes,
    /// Its persistent memory.
    pub(crate) nvdimms: Vec<Nvdimm>,
    /// Files for this run.
    pub(crate) disks: Vec<Disk>,
    /// A way to others, if any.
    pub(crate) network: Option<Network>,
    /// More words for the kernel command line.
    pub(crate) kernel_arguments: Vec<String>,
}

/// Started by systemd in a stock Debian, of no use here, and slow under software emulation.
const MASKED_UNITS: [&str; 8] = [
    "systemd-logind.service",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "ndctl-monitor.service",
    "daxdev-reconfigure@.service",
    "e2scrub_reap.service",
    "systemd-journal-flush.service",
    "dbus.service",
];

impl Machine {
    /// A light machine: two NUMA nodes with 512 MiB of RAM and an NVDIMM of 512 MiB each.
    pub(crate) fn light(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            profile: Profile::Light,
            memory_per_numa_node: Bytes::mib(512),
            nvdimms: vec![
                Nvdimm::labelled(Bytes::mib(512), 0),
                Nvdimm::labelled(Bytes::mib(512), 1),
            ],
            disks: Vec::new(),
            network: None,
            kernel_arguments: Vec::new(),
        }
    }

    /// A node of a cluster: as [`Machine::light`], with systemd and 1 GiB of RAM on each NUMA node.
    pub(crate) fn node(name: &str) -> Self {
        Self {
            profile: Profile::Node,
            memory_per_numa_node: Bytes::gib(1),
            ..Self::light(name)
        }
    }

    /// The file that holds the bytes of the n-th NVDIMM below the folder of a VM.
    pub(super) fn backing_file(folder: &Path, index: usize) -> PathBuf {
        folder.join(format!("nvdimm{index}"))
    }

    /// Size of that file.
    pub(super) fn backing_sizes(&self) -> impl Iterator<Item = Bytes> {
        self.nvdimms.iter().map(Nvdimm::backing)
    }

    /// Program and arguments, started in the machine's network namespace if it has one.
    pub(super) fn command_line(&self, guest: &Guest, accel: Accel, folder: &Path) -> Vec<String> {
        let mut line = Vec::new();
        if let Some(network) = &self.network {
            line.extend([
                "nsenter".to_owned(),
                format!("--net={}", network.namespace.display()),
                "--".to_owned(),
            ]);
        }
        line.extend(words(
            "qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot",
        ));
        line.extend(words("-machine q35,nvdimm=on"));
        line.extend(words(accel.arguments()));
        line.extend(self.memory_arguments());
        line.extend(self.nvdimm_arguments(folder));
        line.extend(disk_arguments("root", &guest.root_image(), "snapshot=on"));
        line.extend(
            self.disks
                .iter()
                .flat_map(|disk| disk_arguments(&disk.name, &disk.image, disk.option())),
        );
        line.extend(self.network_arguments());
        line.extend(port_arguments(folder));
        line.extend(["-kernel".to_owned(), guest.kernel().display().to_string()]);
        line.extend(["-initrd".to_owned(), guest.initrd().display().to_string()]);
        line.extend(["-append".to_owned(), self.kernel_command_line()]);
        line
    }

    fn memory_arguments(&self) -> Vec<String> {
        let each = self.memory_per_numa_node;
        let total = each.plus(each);
        let slots = self.nvdimms.len() + 1;
        // Slack for the alignment of each DIMM in the guest's address space.
        let ceiling = self
            .backing_sizes()
            .fold(total, |sum, size| sum.plus(size).plus(Bytes::gib(1)));
        let mut line = words(&format!(
            "-smp 2 -m {}b,slots={slots},maxmem={}b",
            total.get(),
            aligned(ceiling)
        ));
        for node in 0..2 {
            let size = each.get();
            line.extend(words(&format!(
                "-object memory-backend-ram,id=ram{node},size={size} -numa node,nodeid={node},cpus={node},memdev=ram{node}"
            )));
        }
        line
    }

    fn nvdimm_arguments(&self, folder: &Path) -> Vec<String> {
        let one = |(index, dimm): (usize, &Nvdimm)| {
            let (file, size) = (Self::backing_file(folder, index), dimm.backing().get());
            let labels = match dimm.labels {
                Bytes::ZERO => String::new(),
                size => format!(",label-size={}", size.get()),
            };
            let node = dimm.numa_node;
            [
                "-object".to_owned(),
                format!(
                    "memory-backend-file,id=pmem{index},share=on,mem-path={},size={size}",
                    file.display()
                ),
                "-device".to_owned(),
                format!("nvdimm,id=nvdimm{index},memdev=pmem{index}{labels},node={node}"),
            ]
        };
        self.nvdimms.iter().enumerate().flat_map(one).collect()
    }

    fn network_arguments(&self) -> Vec<String> {
        let Some(Network { tap, mac, .. }) = &self.network else {
            return words("-nic none");
        };
        words(&format!(
            "-netdev tap,id=net0,ifname={tap},script=no,downscript=no -device virtio-net-pci,netdev=net0,mac={mac}"
        ))
    }

    fn kernel_command_line(&self) -> String {
        // The timer check fails on a busy host, whose emulated timer is late, and then the kernel panics.
        let common = "root=/dev/vda rw console=ttyS0 panic=1 mitigations=off fsck.mode=skip no_timer_check";
        let name = &self.name;
        let profile = match self.profile {
            Profile::Light => format!("quiet loglevel=4 init=/usr/lib/daxfit/init daxfit.hostname={name}"),
            Profile::Node => {
                let masks = MASKED_UNITS.map(|unit| format!("systemd.mask={unit}")).join(" ");
                format!("quiet systemd.hostname={name} {masks}")
            }
        };
        [common, &profile, &self.kernel_arguments.join(" ")]
            .join(" ")
            .trim_end()
            .to_owned()
    }
}

/// The socket on which the harness waits for the agent of the VM in `folder`.
pub(super) fn agent_socket(folder: &Path) -> PathBuf {
    folder.join("agent.sock")
}

fn disk_arguments(name: &str, image: &Path, option: &str) -> Vec<String> {
    vec![
        "-drive".to_owned(),
        format!("if=none,id=disk-{name},format=raw,{option},file={}", image.display()),
        "-device".to_owned(),
        format!("virtio-blk-pci,drive=disk-{name},serial={name}"),
    ]
}

/// The serial console goes to QEMU's standard output, which is the console log.
fn port_arguments(folder: &Path) -> Vec<String> {
    let socket = agent_socket(folder);
    let mut line =
        words("-serial stdio -device virtio-serial-pci -device virtserialport,chardev=agent,name=daxfit.agent");
    line.extend([
        "-chardev".to_owned(),
        format!("socket,id=agent,path={}", socket.display()),
    ]);
    line
}

/// QEMU wants the ceiling to be a multiple of the page size; a GiB boundary is one.
fn aligned(size: Bytes) -> u64 {
    size.get_u64().next_multiple_of(1 << 30)
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
