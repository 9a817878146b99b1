//! jq filters in a mapping: they return what the jq tool returns, and admins see what they do, in the whole binary.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bytes::Bytes;
use scim_bridge::core::json::Charset;
use scim_bridge::core::mapping::{Mapping, Show, explain};
use scim_bridge::core::person::SourceName;
use serde_json::Value;

const RECORD: &str = r#"{"id":7,"name":{"first":"Ada","last":"Lovelace"},"emails":[
    {"type":"home","value":"h@x.co","primary":false},{"type":"work","value":"W@X.co","primary":true,"note":null}],
    "tags":["b","a","a"],"none":null,"yes":true,"no":false,"n":[3,1,2],"f":1.5,"text":"a,b,,c","u":"Zoë 李",
    "nested":{"a":{"b":[1,[2,3]]}},"mixed":[null,1,"1",[1],{"a":1},true],"empty":[],"number":"42","object":{"z":1,"a":2}}"#;

const FILTERS: &[&str] = &[
    ".",
    ".id",
    ".name.first",
    ".name[\"last\"]",
    ".none",
    ".missing",
    ".missing.deeper",
    ".yes",
    ".no",
    ".f",
    ".u",
    ".text",
    ".emails[] | select(.type == \"work\") | .value",
    ".emails[] | select(.primary) | .value | ascii_downcase",
    ".emails[0].value",
    ".emails[-1].type",
    ".emails[9]",
    ".emails[1:] | length",
    ".text[2:4]",
    ".u[3:]",
    ".u | length",
    ".emails | map(.value) | join(\";\")",
    "[.emails[].type]",
    "first(.emails[].type)",
    ".emails | first | .type",
    ".emails | last | .type",
    ".tags | unique | join(\"-\")",
    ".tags | sort | first",
    ".n | sort | map(tostring) | join(\",\")",
    ".n | min",
    ".n | max",
    ".n | add",
    ".empty | add",
    ".empty | min",
    ".tags | add",
    ".n | reverse | first",
    ".emails | min_by(.value) | .type",
    ".emails | max_by(.primary) | .type",
    ".emails | sort_by(.type) | .[1].type",
    ".tags | unique_by(length) | length",
    ".name | keys | join(\",\")",
    ".object | keys | first",
    ".object | to_entries | .[0].key",
    ".name.first + \" \" + .name.last",
    "\"\\(.name.first) \\(.id)\"",
    "\"\\(.nested)\"",
    "\"\\(.name)\"",
    ".missing // \"none\"",
    ".no // \"was false\"",
    ".none // .missing // .id",
    "(.id.x // \"no\")",
    ".empty[] // \"none\"",
    "if .yes then \"y\" else \"n\" end",
    "if .none then 1 elif .no then 2 else 3 end",
    ".id == 7",
    ".id != 7",
    ".id < 8 and .yes",
    ".no or .none",
    ".yes | not",
    ".text | split(\",\") | .[1]",
    ".text | split(\",\") | length",
    ".text | startswith(\"a\")",
    ".text | endswith(\"x\")",
    ".text | ltrimstr(\"a,\")",
    ".text | rtrimstr(\",c\")",
    ".id | ltrimstr(\"a\")",
    ".text | contains(\"b,\")",
    ".tags | contains([\"b\"])",
    ".number | tonumber",
    ".id | tostring",
    ".nested | tostring",
    ".yes | tostring",
    ".none | length",
    ".name | has(\"first\")",
    ".tags | has(5)",
    ".tags | any(. == \"b\")",
    ".tags | all(. == \"b\")",
    "[.yes, .no] | any",
    "[.yes, .no] | all",
    ".mixed | map(type) | join(\",\")",
    "[.mixed[] | numbers]",
    "[.mixed[] | strings]",
    "[.mixed[] | values] | length",
    "[.mixed[] | scalars] | length",
    "[.mixed[] | arrays] | length",
    "[.mixed[] | objects] | .[0].a",
    "[.mixed[] | nulls] | length",
    "[.mixed[] | booleans] | first",
    ".emails[] as $e | select($e.primary) | $e.value",
    ".id as $x | .n | map(. + $x) | max",
    "{a: .id, b: .name.first} | .b",
    "{id} | .id",
    ".id - 2",
    "-.id",
    ".n - [1] | length",
    ".name + {first: \"Eve\"} | .first",
    ".name?",
    ".text[]?",
    "[.name[]?] | join(\" \")",
    "empty",
    ".emails[] | select(.type == \"none\")",
    "try (.id | .x)",
    "[.n[], .id] | length",
    // These fail in both.
    ".text[]",
    ".id.x",
    ".id + .text",
    ".text | tonumber",
    ".id | split(\",\")",
    ".none[]",
    ".yes | length",
    ".id | ascii_downcase",
    ".text - 1",
    ".name | join(1)",
    ".id | startswith(\"7\")",
    ".id | keys",
    ".text | add",
];

/// A summary of a filter's first result: its text, or the kind and length of its value; nothing; a failure.
fn ours(filter: &str) -> String {
    let key: toml::Table = [("jq".to_owned(), filter.into())].into_iter().collect();
    let table: toml::Table = [("given_name".to_owned(), toml::Value::Table(key))].into_iter().collect();
    let mapping: Mapping =
        toml::from_str(&toml::to_string(&table).unwrap()).unwrap_or_else(|e| panic!("{filter}: {e}"));
    let source = SourceName::parse("hr").unwrap();
    let body = Bytes::from_static(RECORD.as_bytes());
    let explained = explain(&mapping, &source, &body, Charset::utf8(), Show { values: true });
    let field = explained.records[0].fields.iter().find(|field| field.field == "given_name").unwrap();
    match (&field.value, field.json_type, field.problem.as_deref()) {
        (Some(value), _, _) => value.parse().map_or(value.clone(), |number: f64| number.to_string()),
        (None, Some(kind), _) if kind != "a fraction or a number beyond 64 bits" => {
            format!("{kind} of {}", field.length.unwrap_or_default())
        }
        (None, Some(_), _) => "1.5".to_owned(),
        (None, None, Some(problem)) if problem.contains("jq filter fails") => "(failed)".to_owned(),
        (None, None, _) => "(nothing)".to_owned(),
    }
}

fn theirs(filter: &str, file: &Path) -> String {
    let output = Command::new("jq").args(["-c", filter]).arg(file).output().unwrap();
    let first = String::from_utf8(output.stdout).unwrap().lines().next().map(str::to_owned);
    match first.map(|line| serde_json::from_str(&line).unwrap()) {
        None if output.status.success() => "(nothing)".to_owned(),
        None => "(failed)".to_owned(),
        Some(Value::Null) => "(nothing)".to_owned(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.as_f64().unwrap().to_string(),
        Some(Value::String(text)) if text.is_empty() => "(nothing)".to_owned(),
        Some(Value::String(text)) => text.parse().map_or(text, |number: f64| number.to_string()),
        Some(Value::Array(items)) if items.is_empty() => "(nothing)".to_owned(),
        Some(Value::Array(items)) => format!("array of {}", items.len()),
        Some(Value::Object(members)) => format!("object of {}", members.len()),
    }
}

#[test]
fn a_filter_agrees_with_the_jq_tool() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("record.json");
    fs::write(&file, RECORD).unwrap();
    let differ: Vec<_> = FILTERS
        .iter()
        .map(|filter| (*filter, ours(filter), theirs(filter, &file)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .collect();
    assert!(differ.is_empty(), "filter, ours, jq's: {differ:#?}");
}

fn run(place: &Path, arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
    let output = command.env_clear().current_dir(place).args(arguments).output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, printed)
}

const PRESET: &str = r#"
confidence = "high"
[about]
system = "Acme HR"
source = "its pages"
setup  = "Nothing."
[signature]
auth   = "static_header"
header = "x-acme"
[mapping]
type        = { jq = '.events | map(.name) | if contains(["hired"]) then "hired" else "other" end' }
hire        = ["hired"]
ignore      = ["other"]
only_if     = [{ jq = '.people | length == 1' }]
employee_id = { jq = '.people[0].id' }
email       = { jq = '.people[0].contacts[] | select(.kind == "mail" and (.value | endswith("@example.com"))) | .value', lower = true }
given_name  = { jq = '.people[0] | .nick // .first' }
family_name = { jq = '.people[0].names | map(select(. != "")) | join(" ")' }
occurred_at = []
"#;

const BODY: &str = r#"{"events":[{"name":"seen"},{"name":"hired"}],"people":[{"id":7,"first":"Ada","nick":null,
    "names":["King","","Lovelace"],"contacts":[{"kind":"tel","value":"1"},{"kind":"mail","value":"a@home.net"},
    {"kind":"mail","value":"Ada@Example.com"},{"kind":"mail","value":"Ada@example.com"}]}]}"#;

#[test]
fn a_custom_preset_with_filters_is_tested_and_explained() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path();
    fs::write(place.join("acme.toml"), PRESET).unwrap();
    fs::create_dir(place.join("acme")).unwrap();
    let head = "POST /webhooks/acme HTTP/1.1\r\nContent-Type: application/json\r\nX-Acme: a secret of 16 bytes or more\r\n\r\n";
    fs::write(place.join("acme/1-hire.http"), format!("{head}{BODY}")).unwrap();
    fs::write(place.join("acme/2-nobody.http"), format!(r#"{head}{{"events":[],"people":[]}}"#)).unwrap();
    fs::write(
        place.join("acme/3-broken.http"),
        format!("{head}{}", BODY.replace(r#"["King","","Lovelace"]"#, "\"King\"")),
    )
    .unwrap();
    let expected = r#"[source]
preset_file = "../acme.toml"
secrets = ["a secret of 16 bytes or more"]
[deliveries]
"1-hire.http" = ["hire 7: employed, email ada@example.com, given Ada, family King Lovelace"]
"2-nobody.http" = ["ignored: condition other"]
"#;
    fs::write(place.join("acme/expected.toml"), expected).unwrap();
    let (tested, printed) = run(place, &["presets", "test", "acme"]);
    assert!(!tested.status.success(), "a failing filter is not a success: {printed}");
    assert!(printed.contains("its jq filter fails on this record") && !printed.contains("Cannot iterate"), "{printed}");
    fs::remove_file(place.join("acme/3-broken.http")).unwrap();
    let (tested, printed) = run(place, &["presets", "test", "acme"]);
    assert!(tested.status.success() && printed.contains("2 of 2"), "{printed}");

    let source =
        "[[source]]\nname = \"acme\"\npreset_file = \"acme.toml\"\nsecrets = [\"a secret of 16 bytes or more\"]\n";
    fs::write(place.join("bridge.toml"), source).unwrap();
    let explain =
        ["--config", "bridge.toml", "explain", "--source", "acme", "--request", "acme/1-hire.http", "--values"];
    let (explained, printed) = run(place, &explain);
    assert!(explained.status.success(), "{printed}");
    assert!(printed.contains(".nick // .first") && printed.contains("= \"King Lovelace\""), "{printed}");
}

#[test]
fn a_refused_filter_or_table_is_named_by_file_and_key() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path();
    let check = |mapping: &str| {
        let preset = format!(
            "confidence = \"high\"\n[signature]\nauth = \"static_header\"\nheader = \"x\"\n[mapping]\n{mapping}\n"
        );
        fs::write(place.join("acme.toml"), preset).unwrap();
        let source =
            "[[source]]\nname = \"acme\"\npreset_file = \"acme.toml\"\nsecrets = [\"a secret of 16 bytes or more\"]\n";
        fs::write(place.join("bridge.toml"), source).unwrap();
        let (output, printed) = run(place, &["--config", "bridge.toml", "check"]);
        assert!(!output.status.success(), "{printed}");
        printed
    };
    for (mapping, problem) in [
        ("email = { jq = 'def f: f; f' }", "`def` is not allowed"),
        ("email = { jq = '.mail |' }", "line 1, column 8"),
        ("email = { jq = '$ENV.HOME' }", "is not allowed"),
        ("email = [{ jq = 'repeat(.)' }]", "`repeat/1` is not allowed"),
    ] {
        let printed = check(mapping);
        assert!(
            printed.contains(problem) && printed.contains("acme.toml, line 6: `mapping.email"),
            "{mapping}: {printed}"
        );
    }
    let printed = check("only_if = [{ jq = 'input' }]");
    assert!(printed.contains("mapping.only_if") && printed.contains("`input/0`"), "{printed}");
    let rows: String = (0..10_000).map(|n| format!("k{n}='v',")).collect();
    let printed = check(&format!("email = {{ path = '/mail', table = {{ {} }} }}", rows.trim_end_matches(',')));
    assert!(printed.contains("mapping.email") && printed.contains("10000, and at most 1000"), "{printed}");
}
