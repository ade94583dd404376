//! The YAML in `crds/yaml` is what the types say. `UPDATE_YAML=1 cargo test -p crds` writes it anew.
#![expect(clippy::unwrap_used, reason = "a failure to read or write is a failure of the test")]

use std::path::Path;

use crds::{PmemNode, PmemVolume};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

fn check(file: &str, definition: &CustomResourceDefinition) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml").join(file);
    let expected = serde_saphyr::to_string(definition).unwrap();
    if std::env::var_os("UPDATE_YAML").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} is stale: run UPDATE_YAML=1 cargo test -p crds and commit the result"
    );
}

#[test]
fn pmemnodes() {
    check("pmemnodes.yaml", &PmemNode::crd());
}

#[test]
fn pmemvolumes() {
    check("pmemvolumes.yaml", &PmemVolume::crd());
}
