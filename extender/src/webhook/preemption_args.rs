//! What kube-scheduler sends before it evicts pods (`ExtenderPreemptionArgs`), written like [`ExtenderArgs`](super::extender_args).

use std::borrow::Cow;
use std::collections::BTreeMap;

use cluster::Pod;
use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::DecodeError;
use super::go_object::GoObject;
use super::slim_pod::SlimPod;

/// A pod, and whom kube-scheduler would evict for it.
#[derive(Debug)]
pub(super) struct PreemptionArgs<'a> {
    pub pod: Pod,
    /// The victims by node, as they were sent.
    pub victims: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

impl<'a> PreemptionArgs<'a> {
    /// Reads the pod and the names of the nodes.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let fields: Fields = serde_json::from_slice(body)?;
        if fields.has_whole_pods && fields.victims.is_none() {
            return Err(DecodeError::NodesWithoutNames);
        }
        Ok(Self {
            pod: fields.pod.ok_or(DecodeError::NoPod)?.into(),
            victims: fields.victims.unwrap_or_default(),
        })
    }
}

/// The keys of `ExtenderPreemptionArgs`, in any case.
#[derive(Default)]
struct Fields<'a> {
    pod: Option<SlimPod>,
    has_whole_pods: bool,
    victims: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer)
    }
}

impl<'de> GoObject<'de> for Fields<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key.eq_ignore_ascii_case("Pod") {
            self.pod = map.next_value()?;
        } else if key.eq_ignore_ascii_case("NodeNameToVictims") {
            self.has_whole_pods = map.next_value::<Option<IgnoredAny>>()?.is_some();
        } else if key.eq_ignore_ascii_case("NodeNameToMetaVictims") {
            self.victims = map.next_value()?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn reads_what_go_writes() {
        let body = r#"{"Pod":{"metadata":{"name":"p"}},"NodeNameToVictims":null,"NodeNameToMetaVictims":{"b":{"Pods":[{"UID":"x"}],"NumPDBViolations":0},"a":null}}"#;
        let args = PreemptionArgs::decode(body.as_bytes()).unwrap();
        let victims: Vec<(&str, &str)> = args.victims.iter().map(|(node, raw)| (&**node, raw.get())).collect();
        let b = r#"{"Pods":[{"UID":"x"}],"NumPDBViolations":0}"#;
        assert_eq!(victims, [("a", "null"), ("b", b)]);
    }

    #[rstest]
    #[case("[]", "the request is not one of kube-scheduler to an extender")]
    #[case("{}", "the request has no Pod")]
    #[case(
        "{\"Pod\":{},\"NodeNameToVictims\":{}}",
        "the request has whole nodes or pods but no names: set nodeCacheCapable: true for this extender"
    )]
    fn refuses(#[case] body: &str, #[case] why: &str) {
        let refused = PreemptionArgs::decode(body.as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), why);
    }
}
