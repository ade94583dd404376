//! The images of the cluster's pods: ours from their Containerfiles, and the few others they need.
//!
//! Every image is named by what is in it, so a node never runs an older one, and is made again only when that changes.

mod base;
mod store;
pub(crate) mod unpacked;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::harness::cache::{Key, cached};
use crate::harness::containerd::PAUSE_IMAGE;
use crate::harness::programs::{self, EXTENDER, NODE_DRIVER, OPERATOR};
use crate::harness::progress::step;
use crate::harness::tools::{Tool, Tools};
use base::Base;
use store::Store;

/// What the pods of the demo and the tests run: a static busybox.
pub(crate) const BUSYBOX_IMAGE: &str = "localhost/daxfit/busybox:1";
/// A static program of Debian's package `busybox-static`.
const BUSYBOX: &str = "/bin/busybox";
const PAUSE: &str = "FROM scratch
COPY busybox /bin/
ENTRYPOINT [\"/bin/busybox\", \"sleep\", \"infinity\"]
";
const WORKLOAD: &str = "FROM scratch
COPY busybox /bin/
RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
CMD [\"sh\"]
";
const PROVISIONER: &str = "FROM scratch
COPY csi-provisioner /
USER 65532:65532
ENTRYPOINT [\"/csi-provisioner\"]
";
const SCHEDULER: &str = "FROM scratch
COPY kube-scheduler /usr/local/bin/
USER 65532:65532
ENTRYPOINT [\"kube-scheduler\"]
ENV PATH=/usr/local/bin
";
/// The base in buildah's store.
const BASE_IMAGE: &str = "localhost/daxfit/base";
const ARCHIVE: &str = "image.tar";

/// An image in an archive.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The name that the manifests give it, without a tag.
    pub(crate) in_manifests: &'static str,
    /// Its full name on the nodes.
    pub(crate) reference: String,
    pub(crate) archive: PathBuf,
}

/// All images, and the programs in ours.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// For pods on any node.
    pub(crate) common: Vec<Image>,
    /// For pods on PMEM nodes: the node driver's, and the operator's for the conformance tests.
    pub(crate) pmem_node: Vec<Image>,
    /// For pods on the native node only.
    pub(crate) control: Vec<Image>,
}

/// What an image is made of.
#[derive(Debug)]
struct Recipe {
    in_manifests: &'static str,
    /// Set for images that pods of tests name; the tag of any other is the key of what is in it.
    tag: Option<&'static str>,
    base: Option<Base>,
    containerfile: String,
    /// The folder that the Containerfile copies from.
    context: PathBuf,
    /// Stands for the files that it copies.
    content: Key,
}

impl Images {
    /// Builds our programs and all images that are not cached.
    pub(crate) async fn ready(tools: &Tools) -> Result<Self> {
        let binaries = tempfile::tempdir().context("making a folder for our programs")?;
        programs::build_into(binaries.path(), &[OPERATOR, EXTENDER, NODE_DRIVER]).await?;
        let ours = |name, folder, base| Recipe::ours(name, folder, base, binaries.path());
        Ok(Self {
            common: vec![
                Recipe::of_busybox(PAUSE_IMAGE, PAUSE)?.ready().await?,
                Recipe::of_busybox(BUSYBOX_IMAGE, WORKLOAD)?.ready().await?,
            ],
            pmem_node: vec![
                ours("daxfit/node-driver", "node-driver", Base::FileSystems)?
                    .ready()
                    .await?,
                ours("daxfit/operator", "operator", Base::Library)?.ready().await?,
            ],
            control: vec![
                ours("daxfit/extender", "extender", Base::Library)?.ready().await?,
                Recipe::stock(tools, Tool::CsiProvisioner, "sig-storage/csi-provisioner", PROVISIONER)?
                    .ready()
                    .await?,
                Recipe::stock(tools, Tool::KubeScheduler, "kube-scheduler", SCHEDULER)?
                    .ready()
                    .await?,
            ],
        })
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Image> {
        self.of_pmem_node().chain(&self.control)
    }

    /// Those that a node with persistent memory needs.
    pub(crate) fn of_pmem_node(&self) -> impl Iterator<Item = &Image> {
        self.common.iter().chain(&self.pmem_node)
    }
}

impl Recipe {
    /// An image of ours, from the crate's Containerfile and release binary.
    fn ours(in_manifests: &'static str, folder: &str, base: Base, binaries: &Path) -> Result<Self> {
        let containerfile = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder)
            .join("Containerfile");
        Ok(Self {
            in_manifests,
            tag: None,
            base: Some(base),
            containerfile: read_text(&containerfile)?,
            context: binaries.to_owned(),
            content: content(&binaries.join(format!("daxfit-{folder}")))?,
        })
    }

    /// A program of others: static, and nothing else.
    fn stock(tools: &Tools, tool: Tool, in_manifests: &'static str, containerfile: &str) -> Result<Self> {
        let program = tools.path(tool);
        Ok(Self {
            in_manifests,
            tag: None,
            base: None,
            containerfile: containerfile.to_owned(),
            context: program.parent().context("the program's folder")?.to_owned(),
            // The path has the key of what it was built from.
            content: Key::new().with(program.to_string_lossy().as_bytes()),
        })
    }

    fn of_busybox(reference: &'static str, containerfile: &str) -> Result<Self> {
        let (in_manifests, tag) = reference.rsplit_once(':').context("a reference without a tag")?;
        Ok(Self {
            in_manifests,
            tag: Some(tag),
            base: None,
            containerfile: containerfile.to_owned(),
            context: PathBuf::from("/bin"),
            content: content(Path::new(BUSYBOX))?,
        })
    }

    async fn ready(&self) -> Result<Image> {
        let base = match self.base {
            Some(base) => Some(base.ready().await?),
            None => None,
        };
        let key = self.key(base.as_deref());
        let reference = self.reference(&key);
        let name = format!("image-{}", self.short_name());
        let entry = cached(&name, &key, async |folder| {
            step(
                &format!("making {reference}"),
                self.make(base.as_deref(), &reference, folder),
            )
            .await
        });
        let archive = entry.await?.join(ARCHIVE);
        Ok(Image {
            in_manifests: self.in_manifests,
            reference,
            archive,
        })
    }

    /// A base is made of the inputs in its path.
    fn key(&self, base: Option<&Path>) -> Key {
        let base = base.unwrap_or(Path::new("")).to_string_lossy().into_owned();
        Key::new()
            .with(self.in_manifests)
            .with(&self.containerfile)
            .with(self.content.to_string())
            .with(base)
    }

    fn short_name(&self) -> &str {
        self.in_manifests.rsplit('/').next().unwrap_or(self.in_manifests)
    }

    /// `localhost` is no registry: a node that lacks the image cannot look for it elsewhere.
    fn reference(&self, key: &Key) -> String {
        let tag = self.tag.map_or_else(|| key.to_string(), str::to_owned);
        format!("localhost/daxfit/{}:{tag}", self.short_name())
    }

    async fn make(&self, base: Option<&Path>, reference: &str, folder: &Path) -> Result<()> {
        let store = Store::below(folder)?;
        if let Some(base) = base {
            store.import(base, BASE_IMAGE).await?;
        }
        let containerfile = folder.join("Containerfile");
        fs::write(&containerfile, &self.containerfile).context("writing a Containerfile")?;
        store
            .build(&containerfile, &self.context, BASE_IMAGE, reference)
            .await?;
        store.save(reference, &folder.join(ARCHIVE)).await
    }
}

fn content(file: &Path) -> Result<Key> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(Key::new().with(bytes))
}

fn read_text(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}
