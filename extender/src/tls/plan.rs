//! What has to be made, decided from what is there. Pure: time comes in as an argument.

use jiff::{SignedDuration, Timestamp};

use super::directory::{CA, CLIENT, CLIENT_KEY, SERVER, SERVER_KEY};

/// A new authority is not known to a running kube-scheduler of Kubernetes before 1.36, so it has to last.
pub(super) const CA_LIFE: SignedDuration = SignedDuration::from_hours(3650 * 24);
pub(super) const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How long before its end a certificate is replaced.
const CA_MARGIN: SignedDuration = SignedDuration::from_hours(90 * 24);
const LEAF_MARGIN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is in the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub files: Vec<&'static str>,
    /// The end of the authority, if the extender made it.
    pub own_ca_until: Option<Timestamp>,
    /// The end of the server's certificate, if there is a key to it.
    pub server_until: Option<Timestamp>,
    /// The end of the client's certificate, if there is a key to it.
    pub client_until: Option<Timestamp>,
}

/// What has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The files are an administrator's: nothing may be written.
    LeaveAlone,
    /// A new authority and everything that follows from it.
    All,
    /// Certificates of the authority that is there.
    Leaves { server: bool, client: bool },
    /// An administrator's files lack this one.
    Incomplete(&'static str),
}

pub(super) fn plan(contents: &Contents, now: Timestamp) -> Plan {
    let has = |name| contents.files.contains(&name);
    if ![CA, SERVER, SERVER_KEY, CLIENT, CLIENT_KEY].into_iter().any(has) {
        return Plan::All;
    }
    let Some(ca_until) = contents.own_ca_until else {
        let missing = [CA, SERVER, SERVER_KEY].into_iter().find(|name| !has(name));
        return missing.map_or(Plan::LeaveAlone, Plan::Incomplete);
    };
    if ends_within(CA_MARGIN, Some(ca_until), now) {
        return Plan::All;
    }
    Plan::Leaves {
        server: ends_within(LEAF_MARGIN, contents.server_until, now),
        client: ends_within(LEAF_MARGIN, contents.client_until, now),
    }
}

fn ends_within(margin: SignedDuration, until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| until.duration_since(now) < margin)
}

#[cfg(test)]
mod tests {
    use super::super::directory::GENERATED_CA_KEY;
    use super::*;
    use rstest::rstest;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn days(n: i32) -> Timestamp {
        Timestamp::UNIX_EPOCH + DAY * n
    }

    fn ours(ca: i32, server: Option<i32>, client: Option<i32>) -> Contents {
        Contents {
            files: vec![CA, GENERATED_CA_KEY, SERVER, SERVER_KEY, CLIENT, CLIENT_KEY],
            own_ca_until: Some(days(ca)),
            server_until: server.map(days),
            client_until: client.map(days),
        }
    }

    fn files(files: &[&'static str]) -> Contents {
        Contents {
            files: files.to_vec(),
            ..Contents::default()
        }
    }

    const NEITHER: Plan = Plan::Leaves {
        server: false,
        client: false,
    };
    const BOTH: Plan = Plan::Leaves {
        server: true,
        client: true,
    };

    #[rstest]
    #[case::first_start(files(&[]), Plan::All)]
    #[case::crashed_after_the_key(files(&[GENERATED_CA_KEY]), Plan::All)]
    #[case::crashed_after_the_authority(ours(3650, None, None), BOTH)]
    #[case::good(ours(3650, Some(365), Some(365)), NEITHER)]
    #[case::server_ends(ours(3650, Some(29), Some(365)), Plan::Leaves { server: true, client: false })]
    #[case::client_ended(ours(3650, Some(365), Some(-5)), Plan::Leaves { server: false, client: true })]
    #[case::authority_ends(ours(89, Some(365), Some(365)), Plan::All)]
    #[case::administrators(files(&[CA, SERVER, SERVER_KEY]), Plan::LeaveAlone)]
    #[case::administrators_with_a_stray_key(files(&[CA, SERVER, SERVER_KEY, GENERATED_CA_KEY]), Plan::LeaveAlone)]
    #[case::administrators_incomplete(files(&[CA, SERVER]), Plan::Incomplete(SERVER_KEY))]
    #[case::administrators_without_authority(files(&[CLIENT, CLIENT_KEY]), Plan::Incomplete(CA))]
    fn plans(#[case] contents: Contents, #[case] expected: Plan) {
        assert_eq!(plan(&contents, Timestamp::UNIX_EPOCH), expected);
    }
}
