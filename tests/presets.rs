//! Every preset, with nothing but its secret, against what its system sends when somebody is hired, changes and leaves:
//! `tests/fixtures/presets`, generated and signed by `make.py` there. Also a custom preset, made by following
//! `docs/write-a-preset.md`.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use scim_bridge::cli::presets::trial::try_delivery;
use scim_bridge::config::{SourceConfig, presets, source_alone};
use scim_bridge::core::delivery::Delivery;
use scim_bridge::core::time::UnixMs;
use serde_json::Value;

/// The time at which the deliveries were signed.
const SIGNED_AT: UnixMs = UnixMs(1_700_000_000_000);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder(preset: &str) -> PathBuf {
    root().join("tests/fixtures/presets").join(preset)
}

/// The contents of a preset's `expected.toml`.
fn expected(preset: &str) -> toml::Table {
    fs::read_to_string(folder(preset).join("expected.toml")).unwrap().parse().unwrap()
}

/// A source of this preset with nothing but its secret (and the user, for Basic), and overrides.
fn load(preset: &str, lay_over: &str) -> SourceConfig {
    let mut source = expected(preset)["source"].as_table().unwrap().clone();
    source.insert("name".to_owned(), "hr".into());
    source.extend(lay_over.parse::<toml::Table>().unwrap());
    source_alone(source, std::iter::empty()).unwrap_or_else(|errors| panic!("{preset}: {errors}"))
}

fn read(file: &Path) -> Delivery {
    let bytes = fs::read(file).unwrap();
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..at]).unwrap();
    let mut lines = head.split("\r\n");
    let mut request = lines.next().unwrap().split(' ');
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    Delivery {
        method: request.next().unwrap().to_owned(),
        url: request.next().unwrap().to_owned(),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.as_bytes().to_vec())).collect(),
        body: Bytes::copy_from_slice(&bytes[at + 4..]),
    }
}

fn outcome(source: &SourceConfig, preset: &str, file: &str) -> Vec<String> {
    try_delivery(source, &read(&folder(preset).join(file)), Some(SIGNED_AT)).lines
}

/// Runs the command where there is neither a server nor a configuration.
fn run(place: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
    command.env_clear().current_dir(place).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", text(output)))
}

#[test]
fn every_preset_has_deliveries_with_the_expected_results() {
    let tested = run(root(), &["presets", "test", "tests/fixtures/presets"]);
    assert!(tested.status.success(), "{}", text(&tested));
    for preset in presets::names() {
        let expected = expected(preset);
        assert_eq!(expected["source"]["preset"].as_str(), Some(preset));
        for file in fs::read_dir(folder(preset)).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            assert!(file == "expected.toml" || expected["deliveries"].get(&file).is_some(), "{preset}/{file}");
        }
        assert!(text(&tested).contains(&format!("ok   {preset}/1-")), "{preset} has no delivery");
    }
}

#[test]
fn with_another_secret_every_delivery_is_refused() {
    for preset in presets::names() {
        let other = load(preset, "secrets = ['YW5vdGhlciBzZWNyZXQgb2YgMTYgYnl0ZXM=']");
        for (file, _) in expected(preset)["deliveries"].as_table().unwrap() {
            let outcome = outcome(&other, preset, file);
            assert!(file.contains("ping") || outcome[0].starts_with("refused: "), "{preset}/{file}: {outcome:?}");
        }
    }
}

#[test]
fn a_private_address_is_taken_only_where_its_domain_is_allowed() {
    for preset in ["ashby", "greenhouse"] {
        let outcome = outcome(&load(preset, "mapping = { address_domains = ['home.example'] }"), preset, "1-hire.http");
        assert!(outcome[0].contains("email ada@home.example"), "{preset}: {outcome:?}");
    }
}

#[test]
fn presets_are_listed_and_shown_and_a_misspelt_one_gets_a_suggestion() {
    let empty = tempfile::tempdir().unwrap();
    let list = json(&run(empty.path(), &["presets", "list", "--json"]));
    let names: Vec<_> = list.as_array().unwrap().iter().map(|preset| preset["name"].as_str().unwrap()).collect();
    assert_eq!(names, presets::names());
    let of = |name: &str| list.as_array().unwrap().iter().find(|preset| preset["name"] == name).unwrap().clone();
    assert_eq!((&of("hibob")["confidence"], &of("hibob")["thin"]), (&"high".into(), &true.into()));
    assert_eq!((&of("humaans")["confidence"], &of("merge")["thin"]), (&"guess".into(), &false.into()));
    let shown = run(empty.path(), &["presets", "show", "hibob"]);
    let file = fs::read_to_string(root().join("config/presets/hibob.toml")).unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout).trim_end(), file.trim_end());
    let unknown = run(empty.path(), &["presets", "show", "hibbob"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("did you mean `hibob`?"), "{}", text(&unknown));
}

#[test]
fn a_delivery_with_an_unexpected_result_is_reported_and_the_exit_code_is_1() {
    let place = tempfile::tempdir().unwrap();
    let (here, fixtures) = (place.path(), folder("generic-hmac-hex"));
    for file in ["1-hire.http", "2-rename.http", "3-leave.http"] {
        fs::copy(fixtures.join(file), here.join(file)).unwrap();
    }
    let secret = "secrets = ['a secret of 16 bytes or more']";
    let wrong = format!(
        "[source]\npreset = 'generic-hmac-base64'\n{secret}\n[deliveries]\n'1-hire.http' = ['hire E-1']\n'9-gone.http' = []"
    );
    fs::write(here.join("expected.toml"), wrong).unwrap();
    let output = run(here, &["presets", "test", ".", "--json"]);
    assert_eq!((output.status.code(), &json(&output)["ok"]), (Some(1), &false.into()));
    let deliveries = json(&output)["deliveries"].clone();
    assert_eq!(deliveries.as_array().unwrap().len(), 4);
    assert_eq!(deliveries[0]["became"][0], "refused: mismatch");
    assert_eq!(deliveries[0]["hints"][0], "would verify with encoding = \"hex\"");
    assert_eq!(deliveries[3]["delivery"], "9-gone.http");

    // Without `expected.toml`, deliveries must be accepted and understood. The preset in the arguments counts.
    fs::write(here.join("expected.toml"), format!("[source]\npreset = 'stripe'\n{secret}")).unwrap();
    let output = run(here, &["presets", "test", ".", "--preset", "generic-hmac-hex"]);
    assert!(output.status.success() && text(&output).contains("3 of 3"), "{}", text(&output));
    fs::write(here.join("mine.toml"), "[signature]\nheader = 'x-signature'\n[mapping]\nhire = ['other']").unwrap();
    let output = run(here, &["presets", "test", ".", "--preset", "mine.toml"]);
    assert_eq!(output.status.code(), Some(1), "the mapping does not name the type `employee.hired`");
    assert!(text(&output).contains("ignored: not_named employee.hired"), "{}", text(&output));
    assert!(text(&output).contains("/data/employee_id"), "{}", text(&output));

    // An error names the file it is in.
    fs::write(here.join("mine.toml"), "dedupe_days = 0\n[signature]\nheader = 'x-signature'").unwrap();
    let output = run(here, &["presets", "test", ".", "--preset", "mine.toml"]);
    assert!(text(&output).contains("mine.toml: dedupe_days: CONFIG-VALUE"), "{}", text(&output));
    fs::write(here.join("expected.toml"), format!("[source]\n{secret}\nsignature = {{ encoding = 'base32' }}"))
        .unwrap();
    let output = run(here, &["presets", "test", ".", "--preset", "generic-hmac-hex"]);
    assert!(text(&output).contains("expected.toml: source.signature.encoding: CONFIG-VALUE"), "{}", text(&output));

    fs::remove_file(here.join("expected.toml")).unwrap();
    let output = run(here, &["presets", "test", ".", "--preset", "generic-hmac-hex"]);
    assert!(text(&output).contains("environment variable `HR_SECRET` is not set"), "{}", text(&output));
    assert!(text(&run(here, &["presets", "test", "."])).contains("--preset"));
    assert_eq!(run(here, &["presets", "test", "nowhere"]).status.code(), Some(1));
}

/// A page's code blocks in one language, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begins = format!("```{language}\n");
    page.split(&begins).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_page_on_writing_a_preset_leads_to_a_passing_test() {
    let page = fs::read_to_string(root().join("docs/write-a-preset.md")).unwrap();
    let place = tempfile::tempdir().unwrap();
    // The parts of the preset and the expected results, as the page has them.
    let toml = blocks(&page, "toml");
    fs::create_dir(place.path().join("acme")).unwrap();
    let (expected, preset): (Vec<_>, Vec<_>) = toml.iter().take(3).partition(|block| block.contains("[deliveries]"));
    fs::write(place.path().join("acme.toml"), preset.iter().map(|block| block.as_str()).collect::<String>()).unwrap();
    fs::write(place.path().join("acme/expected.toml"), expected[0]).unwrap();
    for script in blocks(&page, "sh").iter().take(2) {
        let binary = Path::new(env!("CARGO_BIN_EXE_scim-bridge")).parent().unwrap().display();
        let script = format!("PATH=\"{binary}:$PATH\"\n{script}");
        let mut shell = Command::new("sh");
        let output = shell.env_remove("HR_SECRET").current_dir(place.path()).args(["-euc", &script]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{script}\n{}", text(&output));
        assert!(!script.contains("presets test") || text(&output).contains("3 of 3"), "{}", text(&output));
    }
}

#[test]
fn the_schema_accepts_every_preset_and_knows_exactly_its_keys() {
    let file = root().join("config/preset.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    let compiled = compiler.compile(file.to_str().unwrap(), &mut schemas).unwrap();
    let check = |toml: &str| {
        let json: Value = toml::from_str(toml).unwrap();
        schemas.validate(&json, compiled).map_err(|error| error.to_string())
    };
    for preset in presets::names() {
        check(presets::built_in(preset).unwrap()).unwrap_or_else(|error| panic!("{preset}: {error}"));
    }
    for right in ["email = { jq = '.a', lower = true }", "only_if = [{ jq = '.a' }, { jq = '.a', equals = 1 }]"] {
        check(&format!("[signature]\n[mapping]\n{right}")).unwrap_or_else(|error| panic!("{right}: {error}"));
    }
    for wrong in [
        "[signature]\n[mapping]\nemail = { jq = '.a', path = '/a' }",
        "[signature]\n[mapping]\nonly_if = [{ jq = '.a', path = '/a', exists = true }]",
        "[mapping]",
        "[signature]\nheder = 'x'",
        "[signature]\nencoding = 'base32'",
        "[signature]\n[mapping]\nemail = { path = '/a', lowercase = true }",
        "[signature]\n[mapping]\nonly_if = [{ path = '/a' }]",
        "[signature]\n[fetch]\nauth = [{ kind = 'basic' }]",
        "[signature]\n[[fetch.step]]\nname = 'a'",
        "confidence = 'sure'\n[signature]",
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
    let line =
        |line: &str| line.strip_prefix('#').filter(|key| !key.starts_with([' ', '#'])).unwrap_or(line).to_owned();
    let reference: Vec<_> = scim_bridge::config::REFERENCE.lines().map(line).collect();
    let reference: toml::Table = reference.join("\n").parse().unwrap();
    for table in ["signature", "mapping"] {
        let known: std::collections::BTreeSet<_> = reference["source"][0][table].as_table().unwrap().keys().collect();
        let described: std::collections::BTreeSet<_> =
            schema["$defs"][table]["properties"].as_object().unwrap().keys().collect();
        assert_eq!(known, described, "[source.{table}] of config/scim-bridge.toml, and the schema");
    }
}
