//! How targets differ. Postman's behaviour is documented and fixed; any other provider states its own in
//! `/ServiceProviderConfig`. The differences are data for the one plan, except for a few replies that mean something
//! else there.

use super::capabilities::Capabilities;
use super::group::GroupCall;
use super::judge;
use super::reply::{Outcome, Reply};
use super::request::{Carrier, Request};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::Person;
use crate::core::person::email::compare_key;
use crate::core::time::UnixMs;

/// Which SCIM provider the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetKind {
    /// Postman, as its documents and samples have it.
    #[default]
    Postman,
    /// Any provider of SCIM 2.0 (RFC 7643, RFC 7644).
    GenericScim,
}

/// What is known of the target without asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetRules {
    /// Which SCIM provider it is.
    pub kind: TargetKind,
    /// Whether to look people up by `externalId`, too. It is the employee id, which is unique only if there is one HR
    /// system. Postman has no such filter.
    pub finds_by_external_id: bool,
}

impl TargetRules {
    /// Its capabilities, if they are known without asking.
    #[must_use]
    pub fn capabilities(self) -> Option<Capabilities> {
        match self.kind {
            TargetKind::Postman => Some(Capabilities::POSTMAN),
            TargetKind::GenericScim => None,
        }
    }

    /// The `externalId` of a person: the employee id; `source/id` at a provider for several HR systems, since two of them
    /// may have an employee `1001`, and many providers want an `externalId` to be unique.
    #[must_use]
    pub(super) fn external_id(self, person: &Person) -> String {
        match self.kind {
            TargetKind::GenericScim if !self.finds_by_external_id => person.to_string(),
            TargetKind::GenericScim | TargetKind::Postman => person.employee_id.clone(),
        }
    }

    /// Whether a filter for the address `asked` shows a member who has the address `user_name`. Postman's filter
    /// is case-sensitive; elsewhere `userName` is not `caseExact` (RFC 7643 §8.7.1).
    #[must_use]
    pub(super) fn filters_alike(self, user_name: &str, asked: &str) -> bool {
        match self.kind {
            TargetKind::Postman => user_name == asked,
            TargetKind::GenericScim => compare_key(user_name) == compare_key(asked),
        }
    }

    /// Whether names are written by PATCH. Postman documents PUT for them; elsewhere a PUT could clear
    /// what is never shown, such as a password.
    #[must_use]
    pub(super) fn patches_names(self, capabilities: Capabilities) -> bool {
        self.kind == TargetKind::GenericScim && capabilities.patch
    }

    /// Whether a PUT includes `locale` and `groups` even if they were not shown, as Postman's samples do.
    #[must_use]
    pub(super) fn completes_replacements(self) -> bool {
        self.kind == TargetKind::Postman
    }

    /// Judges the reply to what was `asked`, as [`judge::classify`].
    #[must_use]
    pub fn classify(self, asked: &Request, sought: &[String], reply: &Reply, now: UnixMs) -> Outcome {
        let outcome = judge::classify(asked, sought, reply, now);
        match self.kind {
            TargetKind::Postman => outcome,
            TargetKind::GenericScim => by_the_rfc(asked, reply.status(), outcome),
        }
    }
}

/// What RFC 7644 says and Postman's documents do not.
fn by_the_rfc(asked: &Request, status: Option<u16>, outcome: Outcome) -> Outcome {
    match (asked, status, &outcome) {
        // Some providers have no such endpoint, or refuse access to it.
        (Request::Discover, Some(403 | 404 | 405 | 501), _) => Outcome::Served(Capabilities::UNTOLD),
        (
            Request::SetActive { by: Carrier::Patch, .. }
            | Request::SetUserName { by: Carrier::Patch, .. }
            | Request::SetNames { .. }
            | Request::Group(GroupCall::Add { by: Carrier::Patch, .. } | GroupCall::Remove { by: Carrier::Patch, .. }),
            Some(405 | 501),
            _,
        ) => Outcome::NoPatch,
        // RFC 7644 §3.12: the authorization is missing or invalid. Postman says the same in words.
        (_, Some(401), Outcome::Suspect { not_before, .. }) => {
            Outcome::Hold(HoldScope::All, Code::HoldKey, *not_before)
        }
        _ => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::SourceName;
    use crate::core::reconcile::reply::HttpReply;

    const GENERIC: TargetRules = TargetRules { kind: TargetKind::GenericScim, finds_by_external_id: true };
    const POSTMAN: TargetRules = TargetRules { kind: TargetKind::Postman, finds_by_external_id: false };

    fn http(status: u16, body: &'static str) -> Reply {
        Reply::Http(HttpReply { status, body: body.into(), body_complete: true, ..HttpReply::default() })
    }

    #[test]
    fn what_a_provider_can_do_is_read_from_its_configuration() {
        let read = |body: &'static str| GENERIC.classify(&Request::Discover, &[], &http(200, body), UnixMs(0));
        let told =
            r#"{"patch":{"supported":true},"filter":{"supported":false,"maxResults":0},"etag":{"supported":true}}"#;
        assert_eq!(read(told), Outcome::Served(Capabilities { patch: true, filter: false, etag: true }));
        let sparse = Capabilities { patch: false, filter: true, etag: true };
        assert_eq!(read(r#"{"patch":{"supported":false}}"#), Outcome::Served(sparse));
        assert!(matches!(read(r#"{"hello":1}"#), Outcome::Passing { code: Code::ScimUnreadable, .. }));
        for silent in [404, 501] {
            let outcome = GENERIC.classify(&Request::Discover, &[], &http(silent, ""), UnixMs(0));
            assert_eq!(outcome, Outcome::Served(Capabilities::UNTOLD));
            let outcome = POSTMAN.classify(&Request::Discover, &[], &http(silent, ""), UnixMs(0));
            assert!(matches!(outcome, Outcome::Hold(HoldScope::All, Code::HoldRefused, _)), "{outcome:?}");
        }
    }

    #[test]
    fn two_hr_systems_may_number_their_employees_alike() {
        let person = |source| Person { source: SourceName::parse(source).unwrap(), employee_id: "1001".to_owned() };
        let of_several = TargetRules { finds_by_external_id: false, ..GENERIC };
        let both = |rules: TargetRules| ["hr", "ats"].map(|source| rules.external_id(&person(source)));
        assert_eq!(both(of_several), ["hr/1001", "ats/1001"]);
        assert_eq!(
            (both(GENERIC), both(POSTMAN)),
            (["1001", "1001"].map(str::to_owned), ["1001", "1001"].map(str::to_owned))
        );
    }

    #[test]
    fn an_unimplemented_patch_is_not_the_persons_fault() {
        let patch = Request::SetActive { id: "7".to_owned(), active: false, by: Carrier::Patch };
        for status in [405, 501] {
            assert_eq!(GENERIC.classify(&patch, &[], &http(status, "{}"), UnixMs(0)), Outcome::NoPatch);
            let outcome = POSTMAN.classify(&patch, &[], &http(status, "{}"), UnixMs(0));
            assert!(matches!(outcome, Outcome::Suspect { .. }), "{outcome:?}");
        }
    }

    #[test]
    fn an_unauthorized_call_holds_everything_however_it_is_worded() {
        let get = Request::Get { id: "7".to_owned() };
        let outcome = GENERIC.classify(&get, &[], &http(401, "<p>who are you?</p>"), UnixMs(0));
        assert!(matches!(outcome, Outcome::Hold(HoldScope::All, Code::HoldKey, _)), "{outcome:?}");
    }
}
