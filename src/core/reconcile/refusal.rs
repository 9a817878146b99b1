//! What a refusal (3xx, 4xx) means. The status comes first, `scimType` next, fragments of `detail`
//! last, with quotes and dashes normalised: the published copies differ in them. Bodies are parsed
//! leniently, since some errors are not SCIM.

use super::listing::Listing;
use super::reply::{HttpReply, Outcome, Reply};
use super::request::{Operation, Request};
use super::{group, json, waits};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::retry_hint::RetryHint;
use crate::core::time::UnixMs;

/// How much of a `detail` is read.
const DETAIL_BYTES_MAX: usize = 4 * 1024;
/// How much of it a story keeps.
const DETAIL_CHARS_MAX: usize = 200;

pub(super) fn classify(asked: &Request, http: &HttpReply, hint: Option<RetryHint>, now: UnixMs) -> Outcome {
    let operation = asked.operation();
    let refused = Refused { asked, status: http.status, hint, now };
    match http.status {
        300..=399 if operation == Operation::Probe || operation == Operation::Discover => {
            Outcome::Hold(HoldScope::All, Code::HoldRedirect, None)
        }
        300..=399 => refused.suspect(),
        409 if operation == Operation::Create => {
            Outcome::AlreadyMember { is_told: ScimErrorBody::read(&http.body).is_some_and(|told| told.says_taken()) }
        }
        // The reason may be in the missing part. A 4xx had no effect, so asking again does no harm.
        _ if !http.body_complete => Outcome::Passing { code: Code::ScimUnreadable, not_before: refused.not_before() },
        _ => match ScimErrorBody::read(&http.body) {
            Some(told) => refused.as_told(&told),
            None => refused.by_no_scim_server(http.body.trim_ascii().is_empty()),
        },
    }
}

/// An undocumented refusal. A probe is harmless and always allowed, so its refusal is the target's for
/// certain.
pub(super) fn suspect(operation: Operation, status: u16, not_before: Option<UnixMs>) -> Outcome {
    match operation {
        Operation::Probe | Operation::Discover => Outcome::Hold(HoldScope::All, Code::HoldRefused, not_before),
        Operation::Create
        | Operation::Get
        | Operation::Find
        | Operation::Page
        | Operation::Replace
        | Operation::SetActive
        | Operation::SetUserName
        | Operation::SetNames
        | Operation::FindGroup
        | Operation::GetGroup
        | Operation::CreateGroup
        | Operation::AddToGroup
        | Operation::RemoveFromGroup => Outcome::Suspect { not_before, status },
    }
}

/// The error in a body (RFC 7644 §3.12), as far as it is one.
struct ScimErrorBody {
    scim_type: String,
    /// Lower case, straight quotes, plain dashes, single spaces.
    detail: String,
}

impl ScimErrorBody {
    fn read(body: &[u8]) -> Option<Self> {
        let [scim_type, detail] = json::pick(json::document(body)?, ["scimType", "detail"])?;
        let text = |value| json::text(value, DETAIL_BYTES_MAX);
        Some(Self {
            scim_type: scim_type.and_then(text).unwrap_or_default(),
            detail: normalised(&detail.and_then(text).unwrap_or_default()),
        })
    }

    fn says(&self, fragment: &str) -> bool {
        self.detail.contains(fragment)
    }

    fn is_of_type(&self, scim_type: &str) -> bool {
        self.scim_type.eq_ignore_ascii_case(scim_type)
    }

    /// Whether somebody has the address already.
    fn says_taken(&self) -> bool {
        self.is_of_type("uniqueness") || ["already", "exist", "duplicate", "in use"].iter().any(|word| self.says(word))
    }

    /// Whether it is about the content of the request (RFC 7644 §3.12), so that repeating it is useless.
    fn is_about_content(&self) -> bool {
        ["invalidSyntax", "invalidValue", "invalidPath", "noTarget", "mutability", "invalidVers", "sensitive"]
            .iter()
            .any(|scim_type| self.is_of_type(scim_type))
    }
}

struct Refused<'a> {
    asked: &'a Request,
    status: u16,
    hint: Option<RetryHint>,
    now: UnixMs,
}

impl Refused<'_> {
    fn as_told(&self, told: &ScimErrorBody) -> Outcome {
        let hold = |scope, code| Outcome::Hold(scope, code, self.not_before());
        if let Some(code) = self.hold_as_told(told) {
            return hold(HoldScope::All, code);
        }
        match self.status {
            _ if matches!(self.asked, Request::Group(_)) => self.by_no_scim_server(true),
            _ if told.is_of_type("uniqueness") || told.says("already a member of the team") => self.taken(),
            // Only a call that takes a seat can wait for one: a hold on creates would not hold updates.
            400 if told.says("no slots available") && self.takes_a_seat() => hold(HoldScope::Creates, Code::HoldSeats),
            400 if told.says("no slots available") => self.suspect(),
            403 if told.is_of_type("tooMany") && self.is_find() => Outcome::NoFilter,
            403 if told.says("isn't a member of the team") && self.is_about_a_member() => Outcome::NotMember,
            404 | 410 if self.is_about_a_member() => Outcome::NotMember,
            409 => self.conflict(),
            412 if self.writes_a_member() => Outcome::Changed,
            400 if told.is_of_type("invalidSyntax") => self.permanent(Code::ScimSyntax),
            400 if told.says("couldn't update this team member's username") && self.writes_names() => {
                Outcome::UsernameRefused
            }
            403 if told.says("admin is not allowed") => self.permanent(Code::ScimNotAllowed),
            403 if matches!(self.asked, Request::SetUserName { .. }) => self.permanent(Code::ScimAddress),
            // It is about the content, not about the sender.
            413 | 414 | 416 => self.permanent(Code::ScimRejected),
            400 | 422 if told.is_about_content() => self.permanent(Code::ScimRejected),
            // Nobody documents it, so it may be refused to everybody. An address or a filter is often refused like this.
            400 | 410 | 412 | 422 => self.by_request(|| self.suspect()),
            404 if self.is_find() => Outcome::NoFilter,
            404 => self.beyond_the_last_page().unwrap_or_else(|| self.suspect()),
            _ => self.suspect(),
        }
    }

    /// A refusal that concerns everybody.
    fn hold_as_told(&self, told: &ScimErrorBody) -> Option<Code> {
        match self.status {
            400 if told.says("enterprise plan") => Some(Code::HoldPlan),
            400 if told.says("team doesn't exist") => Some(Code::HoldTeamGone),
            401 if told.says("unable to access the team") || told.says("valid api key") => Some(Code::HoldKey),
            403 if told.says("no longer on your team") => Some(Code::HoldAdminLeft),
            _ => None,
        }
    }

    /// Postman answers in JSON, so this may come from a proxy. If the list is served without a filter, the refusal
    /// was about the filter. `is_wordless`: the body holds no page or text that gives a proxy away.
    fn by_no_scim_server(&self, is_wordless: bool) -> Outcome {
        match (self.status, self.asked) {
            (401, Request::Group(_)) => self.suspect(),
            // If the group counted as gone, the bridge would forget whom it has put into it.
            (404 | 410, Request::Group(_)) if !is_wordless => self.suspect(),
            (_, Request::Group(call)) => Outcome::Group(group::refused(call, self.status)),
            (400 | 404 | 414, _) if self.is_find() => Outcome::NoFilter,
            (412, _) if self.asked.replaces() == Some(true) => Outcome::Changed,
            // A proxy may answer everything like this: the look-up that comes next shows whether it does.
            (404 | 410, Request::Get { .. }) if is_wordless => Outcome::NotMember,
            (status @ (404 | 410), Request::Get { .. }) => Outcome::Nowhere { not_before: self.not_before(), status },
            _ => self.suspect(),
        }
    }

    /// Another member has the address.
    fn taken(&self) -> Outcome {
        match self.asked {
            Request::Create(_) => Outcome::AlreadyMember { is_told: true },
            Request::SetUserName { .. } => Outcome::AddressRefused { is_taken: true, status: self.status },
            _ => self.permanent(Code::ScimRejected),
        }
    }

    /// RFC 7644 §3.12: a version that is not the latest, or a duplicate.
    fn conflict(&self) -> Outcome {
        match self.asked {
            Request::SetUserName { .. } => self.taken(),
            _ if self.writes_a_member() => Outcome::Changed,
            _ => self.by_request(|| self.suspect()),
        }
    }

    /// This request cannot succeed, unless the target itself asks to repeat it.
    fn permanent(&self, code: Code) -> Outcome {
        self.by_request(|| Outcome::Permanent(code))
    }

    /// What a refusal means for requests whose refusals have a meaning of their own.
    fn by_request(&self, otherwise: impl FnOnce() -> Outcome) -> Outcome {
        if self.hint.is_some_and(|hint| hint.is_asked) {
            return self.suspect();
        }
        match self.asked {
            Request::SetUserName { .. } => Outcome::AddressRefused { is_taken: false, status: self.status },
            Request::Find { .. } | Request::FindExternalId { .. } => Outcome::NoFilter,
            Request::Probe | Request::Discover => self.suspect(),
            _ => self.beyond_the_last_page().unwrap_or_else(otherwise),
        }
    }

    /// Some servers refuse a page beyond the last one instead of showing an empty one.
    fn beyond_the_last_page(&self) -> Option<Outcome> {
        matches!(self.asked, Request::Page { start_index: 2.. }).then(|| Outcome::Members(Listing::default()))
    }

    fn suspect(&self) -> Outcome {
        // A rate limit may come as a 403, too.
        let quota = (self.status == 403).then(|| waits::quota(self.status, self.hint, self.now)).flatten();
        quota.unwrap_or_else(|| suspect(self.asked.operation(), self.status, self.not_before()))
    }

    fn not_before(&self) -> Option<UnixMs> {
        waits::short_of_a_hold(self.hint, self.now)
    }

    fn is_find(&self) -> bool {
        self.asked.operation() == Operation::Find
    }

    fn takes_a_seat(&self) -> bool {
        matches!(self.asked, Request::Create(_) | Request::SetActive { active: true, .. })
    }

    fn writes_names(&self) -> bool {
        matches!(self.asked, Request::Replace { .. } | Request::SetNames { .. } | Request::SetActive { .. })
    }

    fn writes_a_member(&self) -> bool {
        self.is_about_a_member() && self.asked.operation() != Operation::Get
    }

    fn is_about_a_member(&self) -> bool {
        self.asked.member_id().is_some()
    }
}

/// Lower case, straight quotes, plain dashes, single spaces.
fn normalised(detail: &str) -> String {
    let plain: String = detail
        .chars()
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{2010}'..='\u{2015}' => '-',
            c => c,
        })
        .collect();
    plain.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The target's own `detail` for a person's story: short, on one line, without addresses. Without a reply,
/// why there is none.
#[must_use]
pub fn detail_for_story(reply: &Reply) -> Option<String> {
    let http = match reply {
        Reply::Http(http) => http,
        Reply::NotSent { reason } | Reply::Lost { reason } => return Some(reason.to_string()),
    };
    if http.status < 300 || !http.body_complete {
        return None;
    }
    let [detail] = json::pick(json::document(&http.body)?, ["detail"])?;
    let detail = json::text(detail?, DETAIL_BYTES_MAX)?;
    let words = detail.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let shown: Vec<_> = words.map(|word| if looks_like_an_address(word) { "(address)" } else { word }).collect();
    let text: String = shown.join(" ").chars().take(DETAIL_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

/// Whether it contains `@` in any of its forms: full-width, small, or percent-encoded.
fn looks_like_an_address(word: &str) -> bool {
    word.contains(['@', '\u{ff20}', '\u{fe6b}']) || word.to_ascii_lowercase().contains("%40")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::core::reconcile::no_reply::NoReply;

    fn told(detail: &str) -> Option<String> {
        let body = Bytes::from(serde_json::json!({ "detail": detail }).to_string());
        detail_for_story(&Reply::Http(HttpReply { status: 400, body, body_complete: true, ..HttpReply::default() }))
    }

    #[test]
    fn a_story_shows_the_detail_without_addresses_and_control_characters() {
        assert_eq!(
            told("The user <ada@example.com> is\r\n not\u{1b} allowed.").as_deref(),
            Some("The user (address) is not allowed.")
        );
        assert_eq!(told("filter userName%20eq%20%22ada%40example.com%22").as_deref(), Some("filter (address)"));
        assert_eq!(told(&format!("{} ada.lovelace@example.com", "x".repeat(190))).map(|text| text.len()), Some(200));
        assert_eq!(told(" \n "), None);
        let lost = Reply::Lost { reason: NoReply::Closed };
        assert_eq!(detail_for_story(&lost).as_deref(), Some("the connection was closed before the reply"));
        assert_eq!(
            detail_for_story(&Reply::Http(HttpReply { status: 500, body_complete: true, ..HttpReply::default() })),
            None
        );
    }
}
