//! What a request asks the API server for.

use http::{Method, Uri};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    /// Also PUT: an object is changed.
    Change,
    Delete,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    /// The resource, in the plural: `pmemvolumes`.
    pub(crate) kind: String,
    /// The object; none for all of them, or for one that is made.
    pub(crate) name: Option<String>,
    /// A part of the object: `status`.
    pub(crate) part: Option<String>,
}

impl Asked {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let mut rest = below_version(uri.path()).into_iter();
        let kind = rest.next().unwrap_or_default();
        let (name, part) = (rest.next(), rest.next());
        let watches = uri.query().is_some_and(|query| query.split('&').any(is_watch));
        let verb = match *method {
            Method::POST => Verb::Create,
            Method::PATCH | Method::PUT => Verb::Change,
            Method::DELETE => Verb::Delete,
            _ if watches => Verb::Watch,
            _ if name.is_some() => Verb::Get,
            _ => Verb::List,
        };
        Self { verb, kind, name, part }
    }

    /// Whether it changes something in the cluster.
    pub(super) fn is_write(&self) -> bool {
        match self.verb {
            Verb::Create | Verb::Change | Verb::Delete => true,
            Verb::Get | Verb::List | Verb::Watch => false,
        }
    }

    /// Whether it does that to an object, or part of one, of this kind: `pmemvolumes`, `pmemvolumes/status`.
    pub(crate) fn is(&self, verb: Verb, kind: &str) -> bool {
        let (kind, part) = kind
            .split_once('/')
            .map_or((kind, None), |(kind, part)| (kind, Some(part)));
        self.verb == verb && self.kind == kind && self.part.as_deref() == part
    }
}

fn is_watch(parameter: &str) -> bool {
    matches!(parameter, "watch=true" | "watch=1")
}

/// The path behind group, version and namespace.
fn below_version(path: &str) -> Vec<String> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let rest = match segments[..] {
        ["api", _, ref rest @ ..] | ["apis", _, _, ref rest @ ..] => rest,
        _ => &segments,
    };
    let rest = match *rest {
        ["namespaces", _, ref rest @ ..] if !rest.is_empty() => rest,
        _ => rest,
    };
    rest.iter().map(|segment| (*segment).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, uri: &'static str) -> Asked {
        Asked::of(method, &Uri::from_static(uri))
    }

    #[test]
    fn lists_and_watches_of_a_kind_are_told_apart() {
        let list = asked(&Method::GET, "/apis/daxfit.dev/v1alpha1/pmemvolumes?&limit=500");
        assert!(list.is(Verb::List, "pmemvolumes"), "{list:?}");
        let watch = asked(
            &Method::GET,
            "/apis/daxfit.dev/v1alpha1/pmemvolumes?&watch=true&timeoutSeconds=290",
        );
        assert!(watch.is(Verb::Watch, "pmemvolumes"), "{watch:?}");
    }

    #[test]
    fn a_namespace_is_no_kind_but_where_it_is_asked_for_itself() {
        let claim = asked(&Method::GET, "/api/v1/namespaces/default/persistentvolumeclaims/data");
        assert_eq!((claim.verb, claim.kind.as_str()), (Verb::Get, "persistentvolumeclaims"));
        assert_eq!(claim.name.as_deref(), Some("data"));
        assert!(asked(&Method::GET, "/api/v1/namespaces").is(Verb::List, "namespaces"));
    }

    #[test]
    fn writes_name_the_part_of_the_object() {
        let status = asked(
            &Method::PATCH,
            "/apis/daxfit.dev/v1alpha1/pmemvolumes/v/status?&fieldManager=m",
        );
        assert!(
            status.is_write() && status.is(Verb::Change, "pmemvolumes/status"),
            "{status:?}"
        );
        assert!(!status.is(Verb::Change, "pmemvolumes"));
        let made = asked(&Method::POST, "/apis/daxfit.dev/v1alpha1/pmemvolumes?");
        assert!(made.is(Verb::Create, "pmemvolumes"), "{made:?}");
    }
}
