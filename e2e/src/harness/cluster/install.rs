//! Installing and removing Daxfit as a user does: `kubectl apply -k` of the kinds and of an overlay that names the images.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::part::Part;
use crate::harness::images::Image;
use crate::harness::kubectl::Kubectl;

const CRDS: [&str; 2] = ["crd/pmemnodes.daxfit.dev", "crd/pmemvolumes.daxfit.dev"];
/// Only ends a run that hangs.
const LIMIT: &str = "--timeout=15m";
/// What docs/install.md promises of each removal.
const REMOVED_WITHIN: &str = "--timeout=1m";

/// The folder of the workspace with the manifests.
pub(crate) fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// The scheduler's configuration, as `manifests/scheduler/README.md` has it put on each control plane node.
pub(crate) fn scheduler_config() -> Result<Value> {
    let path = manifests().join("scheduler/kube-scheduler-config.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}

/// The kustomization of our kinds.
pub(crate) fn kinds() -> PathBuf {
    manifests().join("crds")
}

/// How our programs reach the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiAccess {
    /// As the manifests have it.
    Direct,
    /// Through the API proxy of the harness.
    Proxy,
}

/// Applies the kinds and `manifests/base` with these images, and waits until all parts are up: a part is when all its pods
/// are. `folder` is for the overlay.
pub(crate) async fn install<'a>(
    kubectl: &Kubectl,
    images: impl Iterator<Item = &'a Image>,
    access: ApiAccess,
    folder: &Path,
) -> Result<()> {
    kubectl.run(&["apply", "-k", &kinds().to_string_lossy()]).await?;
    crds_are_served(kubectl).await?;
    let images = named_all(images);
    let mut patches: Vec<Value> = match access {
        ApiAccess::Direct => Vec::new(),
        ApiAccess::Proxy => Part::ALL.map(Part::behind_proxy).into(),
    };
    // Scenarios look at namespaces and make some: nothing else may happen meanwhile.
    patches.push(Part::NodeDriver.with_environment([("SWEEP_AFTER", "0".into())]));
    write_overlay(folder, "base", json!({ "images": images, "patches": patches }))?;
    kubectl.run(&["apply", "-k", &folder.to_string_lossy()]).await?;
    for part in Part::ALL {
        kubectl.rolled_out(&part.workload()).await?;
    }
    Ok(())
}

/// Applies `manifests/second-scheduler` with these images beside what is installed, and waits until it is up.
pub(crate) async fn install_second_scheduler<'a>(
    kubectl: &Kubectl,
    images: impl Iterator<Item = &'a Image>,
    folder: &Path,
) -> Result<()> {
    write_overlay(folder, "second-scheduler", json!({ "images": named_all(images) }))?;
    kubectl.run(&["apply", "-k", &folder.to_string_lossy()]).await?;
    kubectl.rolled_out("deployment/daxfit-scheduler").await
}

/// What is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The programs, and all that belongs to them.
    Programs,
    /// Before that, the kinds with all their objects.
    KindsAndPrograms,
}

/// Deletes what [`install`] applied from `folder`. It is an error if that takes longer than we promise.
pub(crate) async fn remove(kubectl: &Kubectl, removal: Removal, folder: &Path) -> Result<()> {
    let delete = async |what: &Path| {
        let what = what.to_string_lossy();
        kubectl.run(&["delete", "-k", &what, REMOVED_WITHIN]).await
    };
    match removal {
        Removal::Programs => {}
        Removal::KindsAndPrograms => drop(delete(&kinds()).await?),
    }
    delete(folder).await.map(drop)
}

/// Waits until objects of our kinds can be made.
pub(crate) async fn crds_are_served(kubectl: &Kubectl) -> Result<()> {
    for crd in CRDS {
        kubectl
            .run(&["wait", "--for=condition=Established", LIMIT, crd])
            .await?;
    }
    Ok(())
}

/// Writes an overlay of a folder of `manifests` with these settings to `folder`.
pub(crate) fn write_overlay(folder: &Path, of: &str, mut settings: Value) -> Result<()> {
    settings["apiVersion"] = json!("kustomize.config.k8s.io/v1beta1");
    settings["kind"] = json!("Kustomization");
    settings["resources"] = json!([relative(folder, &manifests().join(of))?]);
    fs::write(folder.join("kustomization.yaml"), settings.to_string()).context("writing the overlay")
}

/// How an overlay names these images.
fn named_all<'a>(images: impl Iterator<Item = &'a Image>) -> Vec<Value> {
    images.map(named).collect()
}

fn named(image: &Image) -> Value {
    let (name, tag) = image.reference.rsplit_once(':').unwrap_or((&image.reference, "latest"));
    json!({"name": image.in_manifests, "newName": name, "newTag": tag})
}

/// The way from one folder to another: kustomize takes no absolute paths.
fn relative(from: &Path, to: &Path) -> Result<PathBuf> {
    let real = |path: &Path| {
        path.canonicalize()
            .with_context(|| format!("looking for {}", path.display()))
    };
    let (from, to) = (real(from)?, real(to)?);
    let up = from
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .map(|_| Component::ParentDir);
    let down = to.components().filter(|part| matches!(part, Component::Normal(_)));
    Ok(up.chain(down).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::kubectl::SYSTEM_NAMESPACE;

    #[test]
    fn the_schedulers_configuration_names_the_extender() {
        let config = scheduler_config().unwrap();
        assert_eq!(config["extenders"][0]["filterVerb"], "filter");
    }

    /// What kube-scheduler has to know of the extender stands in two files.
    #[test]
    fn the_second_schedulers_configuration_is_that_of_the_first() {
        let path = manifests().join("second-scheduler/scheduler.yaml");
        let objects: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap();
        let map = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
        let config: Value = serde_saphyr::from_str(map["data"]["config.yaml"].as_str().unwrap()).unwrap();
        assert_eq!(config["extenders"], scheduler_config().unwrap()["extenders"]);
    }

    #[test]
    fn an_image_is_named_as_an_overlay_has_it() {
        let image = Image {
            in_manifests: "daxfit/operator",
            reference: "localhost/daxfit/operator:0123".to_owned(),
            archive: PathBuf::new(),
        };
        assert_eq!(
            named(&image),
            json!({"name": "daxfit/operator", "newName": "localhost/daxfit/operator", "newTag": "0123"})
        );
    }

    /// Where kustomize does not rewrite it, an overlay with another namespace would leave it as it is.
    #[test]
    fn the_namespace_is_named_only_where_kustomize_rewrites_it() {
        let mut named = Vec::new();
        for entry in fs::read_dir(manifests().join("base")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for object in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
                find(&object, SYSTEM_NAMESPACE, String::new(), &mut |place| {
                    named.push(format!("{}{place}", object["kind"].as_str().unwrap()));
                });
            }
        }
        let rewritten = |place: &&String| {
            let subject = place.contains("RoleBinding/subjects/") && place.ends_with("/namespace");
            let own = ["Namespace/metadata/name", "Kustomization/namespace"].contains(&place.as_str());
            subject || own || place.ends_with("/metadata/namespace")
        };
        let left: Vec<_> = named.iter().filter(|place| !rewritten(place)).collect();
        assert!(left.is_empty() && named.len() > 10, "{left:?}, of {named:?}");
    }

    /// Calls `found` with the place of each string that contains `text`.
    fn find(value: &Value, text: &str, place: String, found: &mut impl FnMut(String)) {
        match value {
            Value::String(string) if string.contains(text) => found(place),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    find(item, text, format!("{place}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    find(field, text, format!("{place}/{name}"), found);
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    #[test]
    fn the_way_between_folders_leads_there() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("a/b"), root.path().join("c"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        let way = relative(&from, &to).unwrap();
        assert!(way.is_relative());
        assert_eq!(from.join(way).canonicalize().unwrap(), to.canonicalize().unwrap());
    }
}
