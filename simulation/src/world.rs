//! All parts of one simulated cluster.

use std::collections::BTreeSet;

use cluster::names::FSTYPE;
use crds::{DRIVER_NAME, TOPOLOGY_KEY};
use extender::wake::WAKE_OBJECT;
use node_driver::csi::NodeService;
use node_driver::devices::Stage;
use placement::Bytes;
use serde_json::json;

use crate::api_server::{ApiServer, Key, Kind, Network, Snapshot};
use crate::devices::{DeviceFault, Machine, RegionSpec, TrueNamespace};
use crate::dice::Dice;
use crate::forgotten::Forgotten;
use crate::oracle::Oracle;
use crate::programs::{self, ExtenderCalls, OperatorCalls, Process};
use crate::promises::Promises;
use crate::surroundings::kubelet::Kubelet;
use crate::surroundings::scheduler::Manner;
use crate::surroundings::{claims, garbage, provisioner, scheduler};

/// All parts of one simulated cluster.
pub struct World {
    /// The API server.
    pub api: ApiServer,
    /// Randomness of users and faults.
    pub dice: Dice,
    /// What pods wrote.
    pub oracle: Oracle,
    /// What nothing in the cluster tells of since etcd was restored.
    pub forgotten: Forgotten,
    /// What the extender promised.
    pub promises: Promises,
    /// The operator.
    pub operator: Process<OperatorCalls>,
    /// The schedulers, each with an extender of its own.
    pub schedulers: Vec<Scheduler>,
    /// external-provisioner.
    pub provisioner: Process<()>,
    /// The nodes.
    pub nodes: Vec<Node>,
    seed: u64,
}

/// A kube-scheduler and its extender.
pub struct Scheduler {
    /// What pods call it.
    pub name: &'static str,
    /// kube-scheduler.
    pub process: Process<()>,
    /// Its extender.
    pub extender: Process<ExtenderCalls>,
}

/// What pods call the schedulers.
const SCHEDULERS: [&str; 2] = ["default-scheduler", "second-scheduler"];

/// A node with persistent memory.
#[derive(Clone)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its hardware and its kernel.
    pub machine: Machine,
    /// The regions of the hardware.
    pub regions: Vec<String>,
    /// The driver there.
    pub driver: Process<NodeService>,
    /// The kubelet there.
    pub kubelet: Process<()>,
    set_up: Kubelet,
}

/// A StorageClass that users choose from.
pub struct ModelClass {
    /// Its name.
    pub name: &'static str,
    parameter: (&'static str, &'static str),
    binding: &'static str,
}

const LATE: &str = "WaitForFirstConsumer";

/// The classes that users choose from.
pub const CLASSES: [ModelClass; 6] = [
    class("ext4", ("csi.daxfit.dev/mode", "fsdax"), LATE),
    class("sector", ("csi.daxfit.dev/mode", "sector"), LATE),
    class("numa-0", ("csi.daxfit.dev/numa", "0"), LATE),
    class("together", ("csi.daxfit.dev/numa", "together"), LATE),
    class("immediate", ("csi.daxfit.dev/mode", "fsdax"), "Immediate"),
    class("retained", ("csi.daxfit.dev/mode", "fsdax"), LATE),
];

/// The class whose volumes outlive their claims.
const RETAINED: &str = "retained";

const fn class(name: &'static str, parameter: (&'static str, &'static str), binding: &'static str) -> ModelClass {
    ModelClass {
        name,
        parameter,
        binding,
    }
}

impl World {
    /// Starts everything: nodes with one or two regions each, and one scheduler or two.
    #[must_use]
    pub fn start(seed: u64, nodes: usize, schedulers: usize, manner: Manner) -> Self {
        let api = ApiServer::default();
        let promises = Promises::default();
        let dice = |part: &str| Dice::new(seed, part);
        let oracle = Oracle::default();
        make_classes(&api);
        make_wake_object(&api);
        let forgotten = Forgotten::default();
        let operator = start_operator("operator", &api, &dice("operator"), &forgotten);
        let names = SCHEDULERS.into_iter().take(schedulers);
        let schedulers = names
            .map(|name| Scheduler::start(seed, name, &api, &promises, manner))
            .collect();
        let provisioner = {
            let (api, dice, operator) = (api.clone(), dice("provisioner"), operator.clone());
            let (promises, oracle) = (promises.clone(), oracle.clone());
            let run = move |_: &_| provisioner::run(&api, &dice, &operator, &promises, &oracle);
            Process::start(
                "provisioner",
                &ApiServer::default(),
                None,
                &Dice::new(seed, "provisioner process"),
                run,
            )
        };
        tokio::spawn(claims::run(api.clone(), dice("claims")));
        tokio::spawn(garbage::run(api.clone(), dice("garbage"), oracle.clone()));
        let layout = dice("regions");
        let nodes = (0..nodes)
            .map(|number| Node::start(seed, number, &api, &oracle, &layout))
            .collect();
        Self {
            api,
            dice: dice("world"),
            oracle,
            forgotten,
            promises,
            operator,
            schedulers,
            provisioner,
            nodes,
            seed,
        }
    }

    /// The ways of our programs to the API server, by the names of the programs.
    #[must_use]
    pub fn networks(&self) -> Vec<(String, Network)> {
        let extenders = self.schedulers.iter().map(|scheduler| &scheduler.extender);
        let extenders = extenders.map(|extender| (extender.name(), extender.network()));
        let ours = [(self.operator.name(), self.operator.network())];
        let drivers = self
            .nodes
            .iter()
            .map(|node| (node.driver.name(), node.driver.network()));
        ours.into_iter()
            .chain(extenders)
            .chain(drivers)
            .map(|(name, network)| (name.to_owned(), network.clone()))
            .collect()
    }

    /// A second copy of the operator, which runs beside the first until it is not allowed any more.
    #[must_use]
    pub fn second_operator(&self) -> Process<OperatorCalls> {
        let name = "second operator";
        start_operator(name, &self.api, &Dice::new(self.seed, name), &self.forgotten)
    }

    /// Restores etcd from a snapshot.
    pub fn restore(&self, snapshot: Snapshot) {
        self.oracle.restores();
        self.api.restore(snapshot);
        let held = self.nodes.iter().map(|node| (node.name.clone(), node.holds()));
        self.forgotten.restored(&self.api, held.collect());
    }

    /// Writes of our programs and changes of devices so far.
    #[must_use]
    pub fn effects(&self) -> u64 {
        let drivers = self.nodes.iter().map(|node| node.driver.all_effects());
        let extenders = self.schedulers.iter().map(|scheduler| scheduler.extender.all_effects());
        self.operator.all_effects() + extenders.chain(drivers).sum::<u64>()
    }

    /// Takes back every fault: networks work, nodes run, devices are whole.
    pub fn heal(&self) {
        for (_, network) in self.networks() {
            network.change(|state| *state = crate::api_server::NetworkState::default());
        }
        for node in &self.nodes {
            node.heal(&self.api);
        }
        self.operator.allow(true);
        for scheduler in &self.schedulers {
            scheduler.extender.allow(true);
            scheduler.process.allow(true);
        }
        self.provisioner.allow(true);
        // Somebody may have deleted it by hand, as capacity objects are deleted; then the manifests are applied again.
        make_wake_object(&self.api);
        self.promises.heal();
    }
}

fn start_operator(name: &str, api: &ApiServer, dice: &Dice, forgotten: &Forgotten) -> Process<OperatorCalls> {
    let (server, forgotten) = (api.clone(), forgotten.clone());
    let run = move |link: &_| {
        forgotten.operator_starts(&server);
        programs::operator(link)
    };
    Process::start(name, api, None, dice, run)
}

impl Scheduler {
    fn start(seed: u64, name: &'static str, api: &ApiServer, promises: &Promises, manner: Manner) -> Self {
        let dice = |part: &str| Dice::new(seed, &format!("{name} {part}"));
        let of = format!("extender of {name}");
        let extender = Process::start(&of, api, None, &dice("extender"), programs::extender);
        let set_up = scheduler::SetUp {
            name,
            api: api.clone(),
            dice: dice("decisions"),
            extender: extender.clone(),
            promises: promises.clone(),
            manner,
        };
        let run = move |_: &_| scheduler::run(&set_up);
        // It writes by itself what only our programs write through a network.
        let process = Process::start(name, &ApiServer::default(), None, &dice("process"), run);
        Self {
            name,
            process,
            extender,
        }
    }
}

impl Node {
    /// The volumes that its devices hold.
    fn holds(&self) -> BTreeSet<String> {
        let namespaces = self.machine.truth().namespaces.into_iter();
        let volume = |namespace: TrueNamespace| match namespace.volume() {
            Some((volume, Stage::HandedOut | Stage::InUse)) => Some(volume.to_owned()),
            _ => None,
        };
        namespaces.filter_map(volume).collect()
    }

    fn start(seed: u64, number: usize, api: &ApiServer, oracle: &Oracle, layout: &Dice) -> Self {
        let name = format!("node-{number}");
        let specs: Vec<RegionSpec> = (0..=layout.below(2))
            .map(|region| spec(number, region, layout))
            .collect();
        let machine = Machine::new(&name, &specs);
        let node_dice = |part: &str| Dice::new(seed, &format!("{name} {part}"));
        add_node(api, &name);
        let driver = {
            let (name, machine) = (name.clone(), machine.clone());
            let run = move |link: &_| programs::driver(link, &name, &machine);
            let process = format!("driver of node-{number}");
            Process::start(
                &process,
                api,
                Some(&format!("node-{number}")),
                &node_dice("driver"),
                run,
            )
        };
        let set_up = Kubelet {
            api: api.clone(),
            dice: node_dice("kubelet"),
            node: name.clone(),
            machine: machine.clone(),
            driver: driver.clone(),
            oracle: oracle.clone(),
            pods: std::sync::Arc::default(),
        };
        let kubelet = {
            let set_up = set_up.clone();
            let process = format!("kubelet of {name}");
            let dice = node_dice("kubelet process");
            Process::start(&process, &ApiServer::default(), None, &dice, move |_| set_up.run())
        };
        Self {
            name,
            machine,
            regions: specs.into_iter().map(|spec| spec.id).collect(),
            driver,
            kubelet,
            set_up,
        }
    }

    /// Switches it on or off, in whatever way the machine ends.
    pub fn switch(&self, api: &ApiServer, on: bool) {
        self.driver.allow(on);
        self.kubelet.allow(on);
        if !on {
            self.set_up.forget();
        }
        let ready = if on { "True" } else { "False" };
        let _ = api.update_status(&Key::of(Kind::Node, &self.name), |status| {
            status["ready"] = json!(ready);
        });
    }

    fn heal(&self, api: &ApiServer) {
        for fault in DeviceFault::ALL {
            self.machine.set_fault(fault, false);
        }
        for region in &self.regions {
            self.machine.hide_region(region, false);
            self.machine.not_seen(region, false);
            self.machine.disable(region, false);
            self.machine.show_space(region);
        }
        self.machine.repair_first_blocks();
        // A label that could not be deleted is gone, or back, with the next start of the kernel.
        if self.machine.truth().regions.iter().any(|region| region.ghosts > 0) {
            self.switch(api, false);
            self.machine.reboot();
        }
        add_node(api, &self.name);
        let _ = api.update(&Key::of(Kind::Node, &self.name), |node| {
            node["spec"]["unschedulable"] = json!(false);
            node["metadata"]["labels"][TOPOLOGY_KEY] = json!(self.name);
        });
        self.switch(api, true);
    }
}

/// As `manifests/base/extender.yaml` has it.
pub fn make_wake_object(api: &ApiServer) {
    let key = Key::in_namespace(Kind::CSIStorageCapacity, programs::NAMESPACE, WAKE_OBJECT);
    let object = json!({ "metadata": {}, "storageClassName": WAKE_OBJECT });
    let _ = api.create(key, object);
}

/// Makes the Node object, if there is none.
pub fn add_node(api: &ApiServer, name: &str) {
    let labels = json!({ TOPOLOGY_KEY: name });
    let node = json!({ "metadata": { "labels": labels }, "spec": {}, "status": { "ready": "True" } });
    let _ = api.create(Key::of(Kind::Node, name), node);
    register(api, name, true);
}

/// The kubelet of a node has our driver, or has lost it. The label of the node stays.
pub fn register(api: &ApiServer, node: &str, has_driver: bool) {
    let key = Key::of(Kind::CSINode, node);
    let driver = json!({ "name": DRIVER_NAME, "nodeID": node, "topologyKeys": [TOPOLOGY_KEY] });
    let drivers: Vec<_> = has_driver.then_some(driver).into_iter().collect();
    let spec = json!({ "drivers": drivers });
    if api.get(&key).is_none() {
        let _ = api.create(key, json!({ "metadata": {}, "spec": spec }));
    } else {
        let _ = api.update(&key, |csi_node| csi_node["spec"] = spec);
    }
}

fn spec(node: usize, region: usize, layout: &Dice) -> RegionSpec {
    let alignments = [Bytes::mib(2), Bytes::mib(2), Bytes::kib(4), Bytes::mib(16)];
    RegionSpec {
        id: format!("r{node}{region}"),
        numa: u32::try_from(region).ok(),
        size: Bytes::mib(32).times(1 + i64::try_from(layout.below(3)).unwrap_or_default()),
        alignment: *layout.pick(&alignments).unwrap_or(&alignments[0]),
    }
}

fn make_classes(api: &ApiServer) {
    for ModelClass {
        name,
        parameter: (key, value),
        binding,
    } in CLASSES
    {
        let class = json!({
            "provisioner": DRIVER_NAME, "parameters": { FSTYPE: "ext4", key: value },
            "volumeBindingMode": binding, "reclaimPolicy": if name == RETAINED { "Retain" } else { "Delete" },
        });
        let _ = api.create(Key::of(Kind::StorageClass, name), class);
    }
}
