//! Comparing the versions of an object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Whether `one` is an older version than `other` of the same object, as far as one can tell.
///
/// Resource versions are numbers that grow (KEP-5504); where they are not, nothing is older.
#[must_use]
pub fn is_older(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let number = |meta: &ObjectMeta| meta.resource_version.as_deref().and_then(number);
    matches!((number(one), number(other)), (Some(one), Some(other)) if one < other)
}

/// A resource version as a number; none if it is not one.
#[must_use]
pub fn number(resource_version: &str) -> Option<u64> {
    resource_version.parse().ok()
}
