//! What each target parses, and what must hold for any input. A panic is a finding, and so is excessive time or memory.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use scim_bridge::config::{Config, SourceConfig, presets, source_alone};
use scim_bridge::core::delivery::Delivery;
use scim_bridge::core::json::{Charset, Json, form, mended};
use scim_bridge::core::mapping::{Mapping, Show, explain, remap};
use scim_bridge::core::person::story::StoryEntry;
use scim_bridge::core::person::{Document, Entry, SourceName};
use scim_bridge::core::reconcile::carrier::Carrier;
use scim_bridge::core::reconcile::group::GroupCall;
use scim_bridge::core::reconcile::reply::{HttpReply, Reply};
use scim_bridge::core::reconcile::request::{Request, UserToCreate};
use scim_bridge::core::reconcile::target::{TargetKind, TargetRules};
use scim_bridge::core::signature::{Keys, Verifier};
use scim_bridge::core::time::UnixMs;
use scim_bridge::intake::head::{self, Length};

/// A time in 2023.
const NOW: UnixMs = UnixMs(1_700_000_000_000);

/// A source for each preset.
static SOURCES: LazyLock<Vec<SourceConfig>> = LazyLock::new(|| {
    let source = |preset: &str| {
        let mut source = toml::Table::new();
        source.insert("name".to_owned(), "hr".into());
        source.insert("preset".to_owned(), preset.into());
        source.insert("secrets".to_owned(), vec!["whsec_dGhpcy1pcy1uby1zZWNyZXQtb2YtYW55Ym9keQ=="].into());
        source_alone(source, std::iter::empty()).ok()
    };
    presets::names().into_iter().filter_map(source).collect()
});

/// The head of a request.
pub fn head(bytes: &[u8]) {
    let Ok(head) = head::parse(bytes) else { return };
    assert!(!head.target.bytes().any(|byte| byte <= b' '), "the target is within one line");
    assert!(head.path().len() + head.query().len() <= head.target.len());
    let told = head.headers.all("content-length").count() + head.headers.all("transfer-encoding").count();
    assert!(told <= 1, "one length");
    assert!(told == 1 || head.length == Length::Bytes(0));
    // Empty lines may precede it; after that each line is the request line or a field, and an empty one ends the head.
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').skip_while(|line| *line == b"\r").collect();
    assert_eq!(lines.pop(), Some(&b""[..]), "nothing after it");
    assert!(lines.iter().all(|line| line.last() == Some(&b'\r')), "no bare line feed");
    let empty = lines.iter().position(|line| *line == b"\r");
    assert_eq!((empty, head.headers.len() + 2), (lines.len().checked_sub(1), lines.len()), "every line is used");
}

/// A body: as chunks, as text in some charset, as JSON, as a form, as almost-JSON.
pub fn body(bytes: &[u8]) {
    if let Some(data) = scim_bridge::intake::unchunked(bytes) {
        assert!(data.len() <= bytes.len());
    }
    for content_type in [None, Some("application/json; charset=utf-16"), Some("text/plain; charset=windows-1252")] {
        let Some(text) = Charset::of(content_type).ok().and_then(|charset| charset.decode(bytes)) else { continue };
        let _ = form(&text);
        let text = mended(&text).map_or(text, Cow::Owned);
        if let Ok(json) = Json::parse(&text) {
            let _ = (json.type_word(), json.scalar(), json.get("a"));
        }
    }
}

/// Headers and a body with the scheme of some preset: without the secret nothing is accepted.
pub fn delivery(bytes: &[u8]) {
    let Some((&which, rest)) = bytes.split_first() else { return };
    let source = &SOURCES[usize::from(which) % SOURCES.len()];
    let at = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(rest.len());
    let lines = rest[..at].split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8_lossy(&line[..colon]).trim().to_lowercase();
        Some((name, line[colon + 1..].trim_ascii().to_vec()))
    });
    let delivery = Delivery {
        method: "POST".to_owned(),
        url: "/webhooks/hr".to_owned(),
        headers: lines.collect(),
        body: Bytes::copy_from_slice(rest.get(at + 4..).unwrap_or_default()),
    };
    let Ok(verifier) = Verifier::new(source.signature.clone()) else { return };
    let secrets: Vec<_> = source.secrets.iter().map(|secret| (secret.secret.current(), secret.not_after)).collect();
    let keys = Keys::prepare(&source.signature, secrets.iter().map(|(secret, not_after)| (&**secret, *not_after)));
    let _ = verifier.unsigned_handshake(&keys, &delivery);
    let knows_the_secret = rest.windows(20).any(|part| part == b"dGhpcy1pcy1uby1zZWNy");
    assert!(knows_the_secret || verifier.verify(&keys, delivery, NOW).is_err(), "believed");
}

/// A payload with the mapping of some preset.
pub fn mapping(bytes: &[u8]) {
    let Some((&which, payload)) = bytes.split_first() else { return };
    let source = &SOURCES[usize::from(which) % SOURCES.len()];
    let _ = remap(&source.mapping, &source.name, &Bytes::copy_from_slice(payload));
}

/// A jq filter, a zero byte, and a record: the filter is refused when parsed, or runs within its cost limit. It is used
/// both for a field's value and for a condition.
pub fn filter(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == 0) else { return };
    let Ok(text) = std::str::from_utf8(&bytes[..at]) else { return };
    let key: toml::Table = [("jq".to_owned(), text.into())].into_iter().collect();
    let mut table = toml::Table::new();
    table.insert("given_name".to_owned(), key.clone().into());
    table.insert("only_if".to_owned(), vec![key].into());
    let Ok(mapping) = table.try_into::<Mapping>() else { return };
    let Ok(source) = SourceName::parse("hr") else { return };
    let record = Bytes::copy_from_slice(&bytes[at + 1..]);
    let began = Instant::now();
    let _ = explain(&mapping, &source, &record, Charset::utf8(), Show { values: true });
    let _ = remap(&mapping, &source, &record);
    // Four runs of at most about 30 ms, by a build that may be slow, on a machine that may be busy.
    assert!(began.elapsed() < Duration::from_secs(5), "a filter took {:?}", began.elapsed());
}

/// What a target answers.
pub fn scim_reply(bytes: &[u8]) {
    let [which, status, lacks, body @ ..] = bytes else { return };
    let (id, address) = ("0123456789abcdef".to_owned(), "ada@example.com".to_owned());
    let by = Carrier::Patch;
    let request = match which % 12 {
        0 => Request::Create(UserToCreate {
            user_name: address,
            given_name: None,
            family_name: None,
            external_id: "E-1".to_owned(),
            locale: None,
        }),
        1 => Request::Get { id },
        2 => Request::Find { user_name: address },
        3 => Request::FindExternalId { external_id: "E-1".to_owned() },
        4 => Request::Page { start_index: 1 },
        5 => Request::Replace { id, body: "{}".to_owned(), if_match: None },
        6 => Request::SetActive { id, active: false, by },
        7 => Request::SetUserName { id, user_name: address, by },
        8 => Request::Group(GroupCall::Find { name: "Builders".to_owned() }),
        9 => Request::Group(GroupCall::Add { id, member: "m".to_owned(), by }),
        10 => Request::Probe,
        _ => Request::Discover,
    };
    let statuses = [200, 201, 204, 301, 400, 401, 403, 404, 409, 412, 429, 500, 501, 503];
    let reply = Reply::Http(HttpReply {
        status: statuses[usize::from(*status) % statuses.len()],
        hints: vec![("retry-after".to_owned(), String::from_utf8_lossy(&body[..body.len().min(8)]).into_owned())],
        etag: None,
        body: Bytes::copy_from_slice(body),
        body_complete: lacks % 8 != 0,
    });
    for kind in [TargetKind::Postman, TargetKind::GenericScim] {
        let target = TargetRules { kind, finds_by_external_id: true };
        let _ = target.classify(&request, &["ada@example.com".to_owned()], &reply, NOW).meaning();
    }
}

/// A configuration: refused with a reason, or parsed. Files that it names do not exist.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Custom presets and secrets are files, which a fuzzer must not read.
    if text.contains("file") || text.contains('/') {
        return;
    }
    if let Err(errors) = Config::of_text(text) {
        assert!(!errors.to_string().is_empty());
    }
}

/// A stored document: refused as damaged, or parsed, and then written exactly as it was read.
pub fn document(bytes: &[u8]) {
    if let Ok(document) = Document::from_bytes(bytes) {
        let written = document.to_bytes();
        assert!(Document::from_bytes(&written).is_ok_and(|again| again == document), "a document");
        let _ = (document.search_terms(), document.next_change(NOW), document.marks());
    }
    if let Some(entry) = Entry::from_bytes(bytes) {
        assert_eq!(Entry::from_bytes(&entry.to_bytes()).as_ref(), Some(&entry));
    }
    if let Some(entry) = StoryEntry::from_bytes(bytes) {
        assert_eq!(StoryEntry::from_bytes(&entry.to_bytes()).as_ref(), Some(&entry));
    }
}
