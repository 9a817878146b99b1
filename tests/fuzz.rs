//! Runs the fuzz targets of `fuzz/` on stable: on seeds and earlier findings, unchanged and with a few mutations. To
//! fuzz a target until it finds something: `cargo fuzz run --sanitizer none head`.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use scim_bridge::core::person::fold::fold;
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::person::story::StoryEntry;
use scim_bridge::core::person::{
    Document, Email, EmploymentState, Entry, Event, EventKind, Facts, Person, SourceName, Word,
};
use scim_bridge::core::time::UnixMs;

#[path = "../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the crate of the fuzz targets shares them")]
mod targets;

/// How many times each input is mutated.
const CHANGES: u64 = 30;

/// The files in a folder of `tests/fixtures`, sorted.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn bytes_in(folder: &str) -> Vec<Vec<u8>> {
    files(folder).iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap()).collect()
}

/// The deliveries of all presets, as received.
fn deliveries() -> Vec<Vec<u8>> {
    let presets = files("presets").into_iter().filter(|path| path.is_dir());
    let name = |path: &PathBuf| format!("presets/{}", path.file_name().unwrap().to_string_lossy());
    presets.flat_map(|path| bytes_in(&name(&path))).filter(|bytes| bytes.starts_with(b"POST ")).collect()
}

fn end_of_head(delivery: &[u8]) -> usize {
    delivery.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4
}

/// Runs a target on its own fixtures and on more seeds, and on a few mutations of both.
fn replay(target: fn(&[u8]), name: &str, more: impl IntoIterator<Item = Vec<u8>>) {
    let mut chance = fastrand::Rng::with_seed(0xf0f0);
    for seed in bytes_in(&format!("fuzz/{name}")).into_iter().chain(more) {
        target(&seed);
        for _ in 0..CHANGES {
            let mut changed = seed.clone();
            for _ in 0..chance.usize(1..4) {
                change(&mut changed, &mut chance);
            }
            target(&changed);
        }
    }
}

/// Changes or removes a byte, truncates the input, or repeats a piece.
fn change(bytes: &mut Vec<u8>, chance: &mut fastrand::Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = chance.usize(..bytes.len());
    match chance.u8(..5) {
        0 => bytes[at] = chance.u8(..),
        1 => bytes[at] = *chance.choice(b"\"\\{}[]:,=.\r\n0-e\0").unwrap(),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        _ => {
            let piece = bytes[at..(at + 16).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

/// For targets whose first byte selects the preset: all presets.
fn of_each_preset(rest: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<'_> {
    (0..40).map(move |which| [&[which], rest].concat())
}

#[test]
fn heads() {
    replay(targets::head, "head", deliveries().into_iter().map(|bytes| bytes[..end_of_head(&bytes)].to_vec()));
}

#[test]
fn bodies() {
    replay(targets::body, "body", deliveries().into_iter().map(|bytes| bytes[end_of_head(&bytes)..].to_vec()));
}

#[test]
fn deliveries_are_refused_without_the_secret() {
    replay(targets::delivery, "delivery", deliveries().iter().step_by(9).flat_map(|bytes| of_each_preset(bytes)));
}

#[test]
fn payloads() {
    let deliveries = deliveries();
    let bodies = deliveries.iter().step_by(9).map(|bytes| &bytes[end_of_head(bytes)..]);
    replay(targets::mapping, "mapping", bodies.flat_map(of_each_preset));
}

/// Filters of all kinds; the last ones are refused.
const FILTERS: [&str; 34] = [
    ".",
    ".name.first",
    ".missing.deeper?",
    ".emails[] | select(.type == \"work\") | .value | ascii_downcase",
    "[.emails[].value] | join(\";\")",
    ".emails | map(select(.main)) | first | .value",
    ".emails | sort_by(.type) | .[1:] | last",
    ".emails | max_by(.value) | keys",
    ".tags | unique | reverse | .[0]",
    ".tags | map(. + \"x\") | add",
    ".n | min, max, add, length",
    ".n[0] * 2 - 1",
    ".n | map(tostring) | index(\"3\")",
    ".text | split(\",\") | .[-1]",
    ".text[1:] + .u",
    ".u | test(\"x\")",
    ".u | ltrimstr(\"Z\") | length",
    ".name | to_entries | map(\"\\(.key)=\\(.value)\") | join(\"&\")",
    ".name | has(\"first\") and (.last | startswith(\"L\"))",
    ".none // .missing // \"none\"",
    "if .n[0] > 2 then \"many\" elif .none then 1 else [.tags] end",
    "any(.emails[]; .main) or all(.tags[]; . != \"c\")",
    ".emails | unique_by(.type) | length == 2 | not",
    "{a: .id, \"b\": [.tags, .n]} | .b[0] | contains([\"a\"])",
    "[.emails[] as $e | .tags[] | . + $e.type]",
    "try (.text | tonumber) catch \"no\"",
    ".id | tostring | explode",
    "\"\\(.emails)\" | fromjson",
    "def f: f; f",
    "reduce .n[] as $x (0; . + $x)",
    "[limit(3; repeat(1))]",
    "[.. | .. | ..]",
    ".tags * 1000000",
    "$ENV | input",
];

#[test]
fn filters() {
    const RECORD: &str = r#"{"id":7,"name":{"first":"Ada","last":"L"},"emails":[{"type":"home","value":"h@x.co"},
        {"type":"work","value":"W@X.co","main":true}],"tags":["b","a"],"none":null,"n":[3,1.5],"text":"a,b","u":"Z\u00eb"}"#;
    // Each alone, and each followed by another.
    let pairs = FILTERS.iter().zip(FILTERS.iter().cycle().skip(7)).map(|(one, next)| format!("{one} | {next}"));
    let all = FILTERS.iter().map(|one| (*one).to_owned()).chain(pairs);
    replay(targets::filter, "filter", all.map(|filter| format!("{filter}\0{RECORD}").into_bytes()));
}

#[test]
fn replies_of_targets() {
    let replies = bytes_in("postman").into_iter().enumerate();
    let seeds = replies.flat_map(|(n, body)| {
        let of = move |which: u8| [&[which, u8::try_from(n % 14).unwrap(), 1], body.as_slice()].concat();
        (0..12).map(of).collect::<Vec<_>>()
    });
    replay(targets::scim_reply, "scim_reply", seeds);
}

#[test]
fn configurations() {
    let example = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scim-bridge.toml")).unwrap();
    // It names files, which a fuzzer must not read.
    let plain = String::from_utf8(example).unwrap();
    let plain: Vec<_> = plain.lines().filter(|line| !line.contains('/') && !line.contains("file")).collect();
    let bare: Vec<_> = plain.iter().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    replay(targets::configuration, "configuration", [plain.join("\n").into(), bare.join("\n").into()]);
}

#[test]
fn stored_documents() {
    let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
    let email = Some(Email::parse("ada@example.com").unwrap());
    let facts = Facts { employment: Some((EmploymentState::Employed, None)), email, ..Facts::default() };
    let event = Event { person: person.clone(), kind: EventKind::Hire, at: Some(UnixMs(10)), facts };
    let word = Word::Event { job: JobId::about(1 << 64, person.id()), event: Box::new(event), letter: None };
    let entry = Entry { accepted_at: UnixMs(20), word, trace: None };
    let mut document = Document::new(person);
    let folding = fold(&mut document, vec![(1, entry.clone())], UnixMs(30));
    let story = folding.story.iter().map(StoryEntry::to_bytes);
    replay(targets::document, "document", story.chain([document.to_bytes(), entry.to_bytes()]));
}
