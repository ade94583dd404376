//! What kube-scheduler sends.
//!
//! The Go types (`k8s.io/kube-scheduler/extender/v1`) have no JSON tags: keys are written as in Go (`NodeNames`) and read
//! in any case. Slices and maps may be null. The pod inside follows the Kubernetes API.

use std::borrow::Cow;

use cluster::Pod;
use serde::de::{IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::go_object::GoObject;
use super::slim_pod::SlimPod;

/// `ExtenderArgs`: a pod and the candidates for it.
#[derive(Debug)]
pub(super) struct ExtenderArgs<'a> {
    pub pod: Pod,
    /// The names of the candidates as they were sent; none if null. They are not decoded yet.
    pub node_names: Option<&'a str>,
}

/// A request that is not one of kube-scheduler, or not as it is configured in the manifests.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not JSON, or not of the right shape.
    #[error("the request is not one of kube-scheduler to an extender")]
    Json(#[from] serde_json::Error),
    /// `Pod` is missing or null.
    #[error("the request has no Pod")]
    NoPod,
    /// Whole objects were sent where names are expected.
    #[error("the request has whole nodes or pods but no names: set nodeCacheCapable: true for this extender")]
    NodesWithoutNames,
}

/// The name of a node, not copied unless it has escapes.
#[derive(Debug, Deserialize)]
pub(super) struct NodeName<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'a> ExtenderArgs<'a> {
    /// Reads the pod; the names of the candidates are left for [`ExtenderArgs::names`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        if let Some(args) = Self::as_go_writes(body) {
            return Ok(args);
        }
        let fields: Fields = serde_json::from_slice(body)?;
        if fields.has_nodes && fields.node_names.is_none() {
            return Err(DecodeError::NodesWithoutNames);
        }
        Ok(Self {
            pod: fields.pod.ok_or(DecodeError::NoPod)?.into(),
            node_names: fields.node_names.map(RawValue::get),
        })
    }

    /// A request with the names at its end, where Go writes them; none if it is any other, good or bad.
    ///
    /// Most pods have no claims of ours, and nobody needs the names of thousands of nodes then. So they are cut off, and
    /// null stands in their place: if that is JSON, they were where the names of the candidates have to be.
    fn as_go_writes(body: &'a [u8]) -> Option<Self> {
        const KEY: &str = "\"NodeNames\":";
        let body = std::str::from_utf8(body).ok()?.trim_ascii_end();
        let (before, names) = body.split_at(body.find(KEY)? + KEY.len());
        let names = names.strip_suffix('}')?;
        // No list in it, and nothing behind it.
        let is_one_list = names.starts_with('[') && names.find(']') == Some(names.len() - 1);
        let without_names = is_one_list.then(|| format!("{before}null}}"))?;
        let fields: Fields = serde_json::from_str(&without_names).ok()?;
        Some(Self {
            pod: fields.pod?.into(),
            node_names: Some(names),
        })
    }

    /// Reads the names of the candidates.
    pub fn names(&self) -> Result<Vec<NodeName<'a>>, DecodeError> {
        match self.node_names {
            Some(names) => Ok(serde_json::from_str(names)?),
            None => Ok(Vec::new()),
        }
    }
}

/// The keys of `ExtenderArgs`, in any case.
#[derive(Default)]
struct Fields<'a> {
    pod: Option<SlimPod>,
    has_nodes: bool,
    node_names: Option<&'a RawValue>,
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
        } else if key.eq_ignore_ascii_case("Nodes") {
            self.has_nodes = map.next_value::<Option<IgnoredAny>>()?.is_some();
        } else if key.eq_ignore_ascii_case("NodeNames") {
            self.node_names = map.next_value()?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const POD: &str = r#"{"metadata":{"name":"p","namespace":"n","uid":"u","labels":null},"spec":{"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}],"containers":[{}]},"status":{}}"#;

    #[rstest]
    #[case::as_go_writes(r#"{"Pod":POD,"Nodes":null,"NodeNames":["a","b"]}"#, &["a", "b"])]
    #[case::as_older_go_wrote(r#"{"pod":POD,"nodenames":["a"]}"#, &["a"])]
    #[case::shouting(r#"{"POD":POD,"NODENAMES":["a"],"NODES":null}"#, &["a"])]
    #[case::unknown_keys(r#"{"Future":{"x":[1]},"Pod":POD,"NodeNames":[],"More":1}"#, &[])]
    #[case::null_names(r#"{"Pod":POD,"NodeNames":null}"#, &[])]
    #[case::no_names(r#"{"Pod":POD}"#, &[])]
    #[case::escaped(r#"{"Pod":POD,"NodeNames":["\u0061\"b"]}"#, &["a\"b"])]
    #[case::both(r#"{"Pod":POD,"Nodes":{"items":null},"NodeNames":["a"]}"#, &["a"])]
    fn reads(#[case] body: &str, #[case] expected: &[&str]) {
        let body = body.replace(":POD", &format!(":{POD}"));
        let args = ExtenderArgs::decode(body.as_bytes()).unwrap();
        let names = args.names().unwrap();
        let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
        assert_eq!(names, expected);
        assert_eq!(args.pod.claims()[0].key.to_string(), "n/c");
    }

    #[rstest]
    #[case("", "the request is not one of kube-scheduler to an extender")]
    #[case("[]", "the request is not one of kube-scheduler to an extender")]
    #[case("{\"Pod\":{", "the request is not one of kube-scheduler to an extender")]
    #[case("{\"Pod\":null}", "the request has no Pod")]
    #[case("{}", "the request has no Pod")]
    #[case(
        "{\"Pod\":{},\"Nodes\":{\"items\":[]}}",
        "the request has whole nodes or pods but no names: set nodeCacheCapable: true for this extender"
    )]
    fn refuses(#[case] body: &str, #[case] why: &str) {
        assert_eq!(ExtenderArgs::decode(body.as_bytes()).unwrap_err().to_string(), why);
    }

    #[rstest]
    #[case(r#"{"Pod":{}}"#)]
    #[case(r#"{"Pod":{"metadata":{},"spec":null}}"#)]
    #[case(r#"{"Pod":{"spec":{"volumes":null}}}"#)]
    #[case(
        r#"{"Pod":{"spec":{"volumes":[{"name":"v","persistentVolumeClaim":null,"ephemeral":null,"configMap":{}}]}}}"#
    )]
    fn pods_may_be_bare(#[case] body: &str) {
        let args = ExtenderArgs::decode(body.as_bytes()).unwrap();
        assert_eq!(args.pod.claims(), []);
    }

    #[test]
    fn names_must_be_texts() {
        let args = ExtenderArgs::decode(br#"{"Pod":{},"NodeNames":[1]}"#).unwrap();
        assert!(args.names().is_err());
    }

    /// The long way reads the same from requests that are as Go writes them, as long as they are JSON.
    #[rstest]
    #[case(r#"{"Pod":POD,"Nodes":null,"NodeNames":["a","b"]}"#, Some(r#"["a","b"]"#))]
    #[case(r#"{"Pod":POD,"Nodes":null,"NodeNames":[]} "#, Some("[]"))]
    #[case(r#"{"Pod":POD,"nodenames":["x"],"NodeNames":["a"]}"#, Some(r#"["a"]"#))]
    #[case::not_last(r#"{"NodeNames":["a"],"Pod":POD}"#, None)]
    #[case::of_something_else(r#"{"Pod":POD,"Other":{"NodeNames":["a"]}}"#, None)]
    #[case::in_a_text(r#"{"Pod":POD,"Other":"\"NodeNames\":["}"#, None)]
    #[case::twice(r#"{"Pod":POD,"NodeNames":["x"],"NodeNames":["a"]}"#, None)]
    #[case::brackets_in_a_name(r#"{"Pod":POD,"NodeNames":["a]"]}"#, None)]
    #[case::null(r#"{"Pod":POD,"NodeNames":null}"#, None)]
    #[case::no_pod(r#"{"Pod":null,"NodeNames":["a"]}"#, None)]
    #[case::broken(r#"{"Pod":{,"NodeNames":["a"]}"#, None)]
    fn the_short_way(#[case] body: &str, #[case] expected: Option<&str>) {
        let body = body.replace(":POD", &format!(":{POD}"));
        let short = ExtenderArgs::as_go_writes(body.as_bytes());
        assert_eq!(short.as_ref().and_then(|args| args.node_names), expected);
        if let Some(short) = short {
            let long: Fields = serde_json::from_str(&body).unwrap();
            assert_eq!(long.node_names.map(RawValue::get), short.node_names);
            assert_eq!(Pod::from(long.pod.unwrap()), short.pod);
        }
    }

    /// A request of kube-scheduler with something in it exchanged, cut off or put in.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let whole = format!(r#"{{"Pod":{POD},"Nodes":null,"NodeNames":["a","b\u00e9"]}}"#).into_bytes();
        let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
        prop::collection::vec(damage, 0..6).prop_map(move |damages| {
            let mut bytes = whole.clone();
            for (at, with, how) in damages {
                let at = at.index(bytes.len().max(1));
                match how {
                    0 => bytes.insert(at, with),
                    1 => bytes.truncate(at),
                    2 => bytes.extend_from_within(at.min(bytes.len())..),
                    _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = with),
                }
            }
            bytes
        })
    }

    fn read_all(bytes: &[u8]) -> Result<usize, DecodeError> {
        let short = ExtenderArgs::as_go_writes(bytes).map(|args| args.names().ok().map(|names| names.len()));
        let long = serde_json::from_slice::<Fields>(bytes).ok();
        if let (Some(short), Some(long)) = (short, &long) {
            let names: Vec<NodeName> = serde_json::from_str(long.node_names.unwrap().get()).unwrap_or_default();
            assert_eq!(
                short.unwrap_or_default(),
                names.len(),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        Ok(ExtenderArgs::decode(bytes)?.names()?.len())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Whatever comes is read or refused, with a text, and nothing else happens.
        #[test]
        fn survives_anything(noise in prop::collection::vec(any::<u8>(), 0..200), damaged in damaged()) {
            for bytes in [noise, damaged] {
                if let Err(error) = read_all(&bytes) {
                    prop_assert!(!error.to_string().is_empty());
                }
            }
        }
    }

    /// As deep as somebody likes to nest it.
    #[rstest]
    #[case("[")]
    #[case("{\"a\":")]
    fn survives_depth(#[case] open: &str) {
        for depth in [1, 100, 200, 1_000_000] {
            let body = format!("{{\"Pod\":{{\"status\":{}", open.repeat(depth));
            assert!(read_all(body.as_bytes()).is_err());
        }
    }
}
