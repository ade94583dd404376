//! The parameters of a `StorageClass`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use placement::{Bytes, MapLocation, NumaWish, VolumeRequest};

use crate::{ErasePolicy, NumaChoice, PARAMETER_PREFIX, VolumeMode, bytes_of_quantity};

/// What a `StorageClass` asks for, apart from the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassParameters {
    /// `csi.daxfit.dev/mode`
    pub mode: VolumeMode,
    /// `csi.daxfit.dev/map`
    pub map: MapLocation,
    /// `csi.daxfit.dev/numa`
    pub numa: NumaWish,
    /// `csi.daxfit.dev/erase`
    pub erase: ErasePolicy,
    /// `csi.daxfit.dev/eraseRate`
    pub erase_rate: Option<Bytes>,
}

/// A parameter that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// There is no parameter of that name.
    #[error("unknown StorageClass parameter {name:?}: allowed are {}", NAMES.join(", "))]
    UnknownName {
        /// The name that was found.
        name: String,
    },
    /// The parameter cannot have that value.
    #[error("StorageClass parameter {name} is {value:?}: allowed are {allowed}")]
    BadValue {
        /// The parameter.
        name: String,
        /// The value that was found.
        value: String,
        /// The values that there are.
        allowed: &'static str,
    },
    /// No volume of ours needs a Secret, and nobody may read one for it: its claims would wait for ever.
    #[error("StorageClass parameter {name} names a Secret, and volumes need none: remove it")]
    Secret {
        /// The parameter.
        name: String,
    },
    /// A sector volume has no page map.
    #[error(
        "StorageClass parameter csi.daxfit.dev/map is for mode fsdax only: remove it or change csi.daxfit.dev/mode"
    )]
    MapWithoutFsdax,
}

const NAMES: [&str; 5] = [
    "csi.daxfit.dev/mode",
    "csi.daxfit.dev/map",
    "csi.daxfit.dev/numa",
    "csi.daxfit.dev/erase",
    "csi.daxfit.dev/eraseRate",
];
/// The least bytes in a second: slower, nobody would see the end.
const LEAST_RATE: Bytes = Bytes::mib(1);
/// What Kubernetes itself adds to the parameters of a CreateVolume call or keeps in a `StorageClass`.
const OF_KUBERNETES: &str = "csi.storage.k8s.io/";
/// Names of it that end so have external-provisioner, or the kubelet, read a Secret first, which they may not.
const OF_SECRETS: [&str; 2] = ["-secret-name", "-secret-namespace"];

impl ClassParameters {
    /// Reads the parameters of a `StorageClass` or of a CreateVolume call. Those of Kubernetes itself are left alone.
    ///
    /// # Errors
    /// Names the first parameter that is not understood, and what is allowed instead.
    pub fn parse<'a>(parameters: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<Self, ParameterError> {
        let (of_kubernetes, ours): (BTreeMap<_, _>, BTreeMap<_, _>) = parameters
            .into_iter()
            .partition(|(name, _)| name.starts_with(OF_KUBERNETES));
        let is_of_secret = |name: &&&String| OF_SECRETS.iter().any(|end| name.ends_with(end));
        if let Some(name) = of_kubernetes.keys().find(is_of_secret) {
            return Err(ParameterError::Secret { name: (*name).clone() });
        }
        let mut parsed = Self::default();
        for (name, value) in &ours {
            parsed.set(name, value)?;
        }
        let has_map = ours
            .keys()
            .any(|name| name.strip_prefix(PARAMETER_PREFIX) == Some("map"));
        if has_map && parsed.mode == VolumeMode::Sector {
            return Err(ParameterError::MapWithoutFsdax);
        }
        Ok(parsed)
    }

    /// What a claim of `required` to `limit` usable bytes in this class asks of a node.
    #[must_use]
    pub fn request(&self, required: Bytes, limit: Option<Bytes>) -> VolumeRequest {
        VolumeRequest {
            required,
            limit,
            mode: self.mode.with_map(self.map),
            numa: self.numa,
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ParameterError> {
        let bad = |allowed| ParameterError::BadValue {
            name: name.into(),
            value: value.into(),
            allowed,
        };
        match (name.strip_prefix(PARAMETER_PREFIX), value) {
            (Some("mode"), "fsdax") => self.mode = VolumeMode::Fsdax,
            (Some("mode"), "sector") => self.mode = VolumeMode::Sector,
            (Some("mode"), _) => return Err(bad("fsdax, sector")),
            (Some("map"), "dev") => self.map = MapLocation::Dev,
            (Some("map"), "mem") => self.map = MapLocation::Mem,
            (Some("map"), _) => return Err(bad("dev, mem")),
            (Some("numa"), _) => {
                self.numa = numa_wish(value).ok_or_else(|| bad("any, together, or the number of a NUMA node"))?;
            }
            (Some("erase"), "zero") => self.erase = ErasePolicy::Zero,
            (Some("erase"), _) => return Err(bad("zero")),
            (Some("eraseRate"), _) => {
                let rate = erase_rate(value).ok_or_else(|| bad("bytes in a second, 1Mi or more, such as 500Mi"))?;
                self.erase_rate = Some(rate);
            }
            _ => return Err(ParameterError::UnknownName { name: name.into() }),
        }
        Ok(())
    }
}

fn numa_wish(value: &str) -> Option<NumaWish> {
    if value == "together" {
        return Some(NumaWish::Together);
    }
    NumaChoice::try_from(value.to_owned()).ok().map(NumaWish::from)
}

fn erase_rate(value: &str) -> Option<Bytes> {
    let rate = bytes_of_quantity(&Quantity(value.into())).ok()?;
    (rate >= LEAST_RATE).then_some(rate)
}

#[cfg(test)]
mod tests {
    use placement::NumaNode;

    use super::*;

    fn parse(parameters: &[(&str, &str)]) -> Result<ClassParameters, String> {
        let map: BTreeMap<String, String> = parameters.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        ClassParameters::parse(&map).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_ours_and_leaves_those_of_kubernetes() {
        let parsed = parse(&[
            ("csi.daxfit.dev/mode", "fsdax"),
            ("csi.daxfit.dev/map", "mem"),
            ("csi.daxfit.dev/numa", "1"),
            ("csi.storage.k8s.io/fstype", "xfs"),
        ]);
        let parsed = parsed.unwrap();
        assert_eq!((parsed.mode, parsed.map), (VolumeMode::Fsdax, MapLocation::Mem));
        assert_eq!(parsed.numa, NumaWish::Node(NumaNode(1)));
        assert_eq!(parse(&[]), Ok(ClassParameters::default()));
    }

    #[test]
    fn nobody_reads_a_secret() {
        for name in ["provisioner-secret-name", "node-stage-secret-namespace"] {
            let name = format!("csi.storage.k8s.io/{name}");
            let refused = parse(&[(&name, "s")]).unwrap_err();
            assert!(refused.contains(&name) && refused.ends_with("remove it"), "{refused}");
        }
    }

    #[test]
    fn reads_each_numa_wish() {
        for (value, wish) in [
            ("any", NumaWish::Any),
            ("together", NumaWish::Together),
            ("0", NumaWish::Node(NumaNode(0))),
        ] {
            assert_eq!(parse(&[("csi.daxfit.dev/numa", value)]).unwrap().numa, wish);
        }
    }

    #[test]
    fn reads_how_fast_to_erase() {
        let rate = |value| parse(&[("csi.daxfit.dev/eraseRate", value)]).map(|parsed| parsed.erase_rate);
        assert_eq!(rate("500Mi"), Ok(Some(Bytes::mib(500))));
        assert_eq!(parse(&[]).unwrap().erase_rate, None);
        for value in ["0", "1023Ki", "-1Gi", "fast", ""] {
            let refused = rate(value).unwrap_err();
            assert!(
                refused.ends_with("allowed are bytes in a second, 1Mi or more, such as 500Mi"),
                "{refused}"
            );
        }
    }

    #[test]
    fn refuses_by_name_with_what_is_allowed() {
        assert_eq!(
            parse(&[("csi.daxfit.dev/mode", "dax")]).unwrap_err(),
            "StorageClass parameter csi.daxfit.dev/mode is \"dax\": allowed are fsdax, sector"
        );
        assert_eq!(
            parse(&[("mode", "fsdax")]).unwrap_err(),
            "unknown StorageClass parameter \"mode\": allowed are csi.daxfit.dev/mode, csi.daxfit.dev/map, csi.daxfit.dev/numa, csi.daxfit.dev/erase, csi.daxfit.dev/eraseRate"
        );
        assert_eq!(
            parse(&[("csi.daxfit.dev/numa", "one")]).unwrap_err(),
            "StorageClass parameter csi.daxfit.dev/numa is \"one\": allowed are any, together, or the number of a NUMA node"
        );
        assert!(parse(&[("csi.daxfit.dev/mode", "sector"), ("csi.daxfit.dev/map", "mem")]).is_err());
    }
}
