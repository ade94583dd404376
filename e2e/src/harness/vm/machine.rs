//! What a virtual machine consists of, and the QEMU command line that makes it.

use std::path::{Path, PathBuf};

use placement::Bytes;

use super::accel::Accel;
use super::monitor::monitor_socket;
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
    /// Whether it says that it would not save its data when power fails.
    pub(crate) unarmed: bool,
}

impl Nvdimm {
    /// A DIMM with a 2 MiB label area, which has 16,347 free slots.
    pub(crate) const fn labelled(data: Bytes, numa_node: u32) -> Self {
        Self {
            data,
            labels: Bytes::mib(2),
            numa_node,
            unarmed: false,
        }
    }

    fn backing(&self) -> Bytes {
        self.data.plus(self.labels)
    }
}

/// An emulated CXL memory device with 512 MiB of persistent memory. Each one has a host bridge of its own, over all of which
/// a region can be interleaved. What is written to its memory reads back as zeros (QEMU 7.2); its label area works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CxlMemory {
    /// What tells it from others; a device may have none.
    pub(crate) serial: Option<u64>,
}

impl CxlMemory {
    const DATA: Bytes = Bytes::mib(512);
    const LABELS: Bytes = Bytes::mib(1);
}

/// A file that holds the bytes of a memory device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackingFile {
    pub(super) path: PathBuf,
    pub(super) size: Bytes,
}

/// Where bytes of a memory device are: its label area, or its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceBytes {
    /// The file, which a running machine has mapped.
    pub(crate) file: PathBuf,
    /// Its first byte in the file.
    pub(crate) start: Bytes,
    /// How many there are.
    pub(crate) size: Bytes,
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
    /// More of it, behind CXL.
    pub(crate) cxl: Vec<CxlMemory>,
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
            cxl: Vec::new(),
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

    /// The files that hold the bytes of all memory devices, below the folder of a VM.
    pub(super) fn backing_files(&self, folder: &Path) -> Vec<BackingFile> {
        let file = |path, size| BackingFile { path, size };
        let nvdimms = self.nvdimms.iter().enumerate();
        let nvdimms = nvdimms.map(|(n, dimm)| file(nvdimm_file(folder, n), dimm.backing()));
        let cxl = (0..self.cxl.len()).flat_map(|n| {
            [
                file(cxl_file(folder, n), CxlMemory::DATA),
                file(cxl_labels_file(folder, n), CxlMemory::LABELS),
            ]
        });
        nvdimms.chain(cxl).collect()
    }

    /// Where the persistent memory of the n-th NVDIMM is, which is all that its label area is not.
    pub(crate) fn nvdimm_data(&self, folder: &Path, n: usize) -> Option<DeviceBytes> {
        let dimm = self.nvdimms.get(n)?;
        Some(DeviceBytes {
            file: nvdimm_file(folder, n),
            start: Bytes::ZERO,
            size: dimm.data,
        })
    }

    /// Where the label area of the n-th NVDIMM is: QEMU takes it from the end of its bytes.
    pub(crate) fn nvdimm_labels(&self, folder: &Path, n: usize) -> Option<DeviceBytes> {
        let dimm = self.nvdimms.get(n)?;
        Some(DeviceBytes {
            file: nvdimm_file(folder, n),
            start: dimm.data,
            size: dimm.labels,
        })
    }

    /// Where the label area of the n-th CXL device is.
    pub(crate) fn cxl_labels(&self, folder: &Path, n: usize) -> Option<DeviceBytes> {
        self.cxl.get(n).map(|_| DeviceBytes {
            file: cxl_labels_file(folder, n),
            start: Bytes::ZERO,
            size: CxlMemory::LABELS,
        })
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
        line.extend(self.machine_arguments());
        line.extend(words(accel.arguments()));
        line.extend(self.memory_arguments());
        line.extend(self.nvdimm_arguments(folder));
        line.extend(self.cxl_arguments(folder));
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
            .nvdimms
            .iter()
            .fold(total, |sum, dimm| sum.plus(dimm.backing()).plus(Bytes::gib(1)));
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
            let (file, size) = (nvdimm_file(folder, index), dimm.backing().get());
            let labels = match dimm.labels {
                Bytes::ZERO => String::new(),
                size => format!(",label-size={}", size.get()),
            };
            let node = dimm.numa_node;
            let unarmed = if dimm.unarmed { ",unarmed=on" } else { "" };
            [
                "-object".to_owned(),
                format!(
                    "memory-backend-file,id=pmem{index},share=on,mem-path={},size={size}",
                    file.display()
                ),
                "-device".to_owned(),
                format!("nvdimm,id=nvdimm{index},memdev=pmem{index}{labels},node={node}{unarmed}"),
            ]
        };
        self.nvdimms.iter().enumerate().flat_map(one).collect()
    }

    /// All CXL devices are targets of one window of addresses.
    fn machine_arguments(&self) -> Vec<String> {
        if self.cxl.is_empty() {
            return words("-machine q35,nvdimm=on");
        }
        let targets = (0..self.cxl.len()).map(|n| format!("cxl-fmw.0.targets.{n}=cxl.{n}"));
        let targets: Vec<String> = targets.collect();
        words(&format!(
            "-machine q35,nvdimm=on,cxl=on -M {},cxl-fmw.0.size=4G,cxl-fmw.0.interleave-granularity=4k",
            targets.join(",")
        ))
    }

    fn cxl_arguments(&self, folder: &Path) -> Vec<String> {
        let one = |(n, device): (usize, &CxlMemory)| {
            let (data, labels) = (cxl_file(folder, n), cxl_labels_file(folder, n));
            let (data_size, labels_size) = (CxlMemory::DATA.get(), CxlMemory::LABELS.get());
            let serial = device.serial.map_or_else(String::new, |serial| format!(",sn={serial}"));
            let bus = 32 * (n + 1);
            let mut line = words(&format!(
                "-device pxb-cxl,bus_nr={bus},bus=pcie.0,id=cxl.{n} -device cxl-rp,port={n},bus=cxl.{n},id=rp{n},chassis={n},slot={n} \
                 -device cxl-type3,bus=rp{n},memdev=cxl-data{n},lsa=cxl-labels{n},id=cxl-memory{n}{serial}"
            ));
            let backend = |id: &str, file: &Path, size: i64| {
                let file = file.display();
                let text = format!("memory-backend-file,id={id}{n},share=on,mem-path={file},size={size}");
                ["-object".to_owned(), text]
            };
            line.splice(0..0, backend("cxl-labels", &labels, labels_size));
            line.splice(0..0, backend("cxl-data", &data, data_size));
            line
        };
        self.cxl.iter().enumerate().flat_map(one).collect()
    }

    fn network_arguments(&self) -> Vec<String> {
        let Some(Network { tap, mac, .. }) = &self.network else {
            return words("-nic none");
        };
        words(&format!(
            "-netdev tap,id=net0,ifname={tap},script=no,downscript=no -device virtio-net-pci,bus=pcie.0,netdev=net0,mac={mac}"
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

fn nvdimm_file(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("nvdimm{n}"))
}

fn cxl_file(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("cxl{n}"))
}

fn cxl_labels_file(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("cxl-labels{n}"))
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
        // With CXL, QEMU would take one of its bridges for the default bus.
        format!("virtio-blk-pci,bus=pcie.0,drive=disk-{name},serial={name}"),
    ]
}

/// The serial console goes to QEMU's standard output, which is the console log.
fn port_arguments(folder: &Path) -> Vec<String> {
    let socket = agent_socket(folder);
    let mut line = words(
        "-serial stdio -device virtio-serial-pci,bus=pcie.0 -device virtserialport,chardev=agent,name=daxfit.agent",
    );
    line.extend([
        "-chardev".to_owned(),
        format!("socket,id=agent,path={}", socket.display()),
    ]);
    line.extend(words("-mon chardev=monitor,mode=control"));
    line.extend([
        "-chardev".to_owned(),
        format!(
            "socket,id=monitor,path={},server=on,wait=off",
            monitor_socket(folder).display()
        ),
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
