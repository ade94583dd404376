//! What matters of a class.

use std::collections::BTreeMap;

use crds::{ClassParameters, DRIVER_NAME};
use k8s_openapi::api::storage::v1::StorageClass;

/// What matters of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// One of ours, with its parameters or what is wrong with them.
    Ours(Result<ClassParameters, Box<str>>),
    /// One of another driver: none of our business.
    Foreign,
}

impl From<&StorageClass> for Class {
    fn from(class: &StorageClass) -> Self {
        if class.provisioner != DRIVER_NAME {
            return Self::Foreign;
        }
        let none = BTreeMap::new();
        let parameters = class.parameters.as_ref().unwrap_or(&none);
        Self::Ours(ClassParameters::parse(parameters).map_err(|error| error.to_string().into()))
    }
}
