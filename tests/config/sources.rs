//! Sources: presets, mappings, fetches, and combinations that do not work.

use std::fs;

use scim_bridge::config::presets;
use scim_bridge::core::mapping::Names;
use scim_bridge::core::signature::fields::Tolerance;
use scim_bridge::core::signature::scheme::IdRule;

use super::{Folder, errors, load, pairs};

#[test]
fn a_source_lays_its_own_keys_over_its_preset_or_spells_everything_out() {
    let folder = Folder::with("");
    let preset = "dedupe_days = 30\n[signature]\nheader = 'x-sig'\nid = { json = '/id' }\n[mapping]\nrecords = '/people'\nemail = '/mail'";
    fs::write(folder.path("preset.toml"), preset).unwrap();
    let toml = format!(
        "[[source]]\nname = 'over'\npreset = 'standard-webhooks'\nsecrets = ['c2VjcmV0LW9mLXRoZS10ZXN0cw==']\nsignature = {{ timestamp = {{ past_s = 'off' }}, id = 'body_hash', signed = '{{timestamp}}.{{body}}' }}\n\
         [[source]]\nname = 'file'\npreset_file = '{}'\nsecrets = ['0123456789abcdef']\nmapping = {{ email = '/email' }}\n\
         [[source]]\nname = 'out'\nsecrets = ['0123456789abcdef']\nsignature = {{ header = 'x-sig' }}",
        folder.path("preset.toml").display()
    );
    let config = load(&toml, &[]).unwrap();
    let [over, file, out] = &config.sources[..] else { panic!("{:?}", config.sources) };
    assert_eq!(over.signature.key.strip_prefix, "whsec_");
    assert_eq!(over.signature.id, IdRule::BodyHash);
    let timestamp = over.signature.timestamp.as_ref().unwrap();
    assert_eq!((timestamp.past_s, timestamp.future_s), (Tolerance::Off, Tolerance::Seconds(300)));
    assert_eq!((file.dedupe_days, file.mapping.records.as_str()), (30, "/people"));
    assert_eq!(file.mapping.email.to_string(), "`/email`");
    assert!(out.signature.timestamp.is_none());
    assert_eq!(out.signature.key.strip_prefix, "");
}

#[test]
fn an_unsigned_body_gives_only_notices() {
    let lever = "[[source]]\nname = 'a'\npreset = 'lever'\nsecrets = ['0123456789abcdef']\n";
    assert!(load(lever, &[]).is_ok());
    let believing = format!("{lever}mapping = {{ hire = ['candidateHired'], notice = [] }}");
    assert_eq!(pairs(&errors(&believing, &[])), [("source[0].signature.body_unsigned", "CONFIG-SOURCE")]);
}

#[test]
fn every_preset_makes_a_source_with_nothing_but_its_secret() {
    for name in presets::names() {
        let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let more = if name == "generic-basic" || name == "paylocity" { "signature = { username = 'hr' }" } else { "" };
        let toml = format!("[[source]]\nname = 'a'\npreset = '{name}'\nsecrets = ['{secret}']\n{more}");
        let config = load(&toml, &[]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let source = &config.sources[0];
        let about = presets::about(name).unwrap();
        assert_eq!(source.thin, about.thin, "{name}");
        let guesses = config.notices.iter().filter(|notice| notice.contains("is a guess")).count();
        assert_eq!(
            guesses,
            usize::from(about.confidence == presets::Confidence::Guess),
            "{name}: {:?}",
            config.notices
        );
        assert!(source.fetch.is_none(), "{name}: nothing is fetched without a login");
    }
}

/// What a thin preset's system needs, and nothing else.
fn login_of(preset: &str) -> &'static str {
    match preset {
        "keypay" => "token = 't', values = { company_id = '99' }",
        "hibob" | "greenhouse-onboarding" => "username = 'service-user', password = 'token'",
        "personio" => "client_id = 'c', client_secret = 's'",
        "paylocity" => "client_id = 'c', client_secret = 's', values = { company_id = 'B1' }",
        "gusto" => "client_id = 'c', client_secret = 's', refresh_token = 'r'",
        "employment-hero" => "client_id = 'c', client_secret = 's', refresh_token = 'r', values = { company_id = 'o' }",
        "ukg-pro" => "username = 'u', password = 'p', token = 'k', values = { host = 'service4.ultipro.com' }",
        "bamboohr" | "workable" | "sapling" => "token = 't', values = { subdomain = 'acme' }",
        "kombo" => "token = 't', values = { integration_id = 'i', region = 'us' }",
        _ => "token = 't'",
    }
}

#[test]
fn every_thin_preset_reads_people_with_only_its_systems_login() {
    let thin = presets::names().into_iter().filter(|name| presets::about(name).unwrap().thin);
    for name in thin {
        let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let signature = if name == "paylocity" { "signature = { username = 'hr' }\n" } else { "" };
        let toml = format!(
            "[[source]]\nname = 'a'\npreset = '{name}'\nsecrets = ['{secret}']\n{signature}fetch = {{ {} }}",
            login_of(name)
        );
        let config = load(&toml, &[]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let fetch = config.sources[0].fetch.as_ref().unwrap_or_else(|| panic!("{name}"));
        assert!(fetch.api.base().starts_with("https://"), "{name}: {}", fetch.api.base());
        assert!(fetch.api.token_url().is_none_or(|url| url.starts_with("https://")), "{name}");
        // `base_url` replaces scheme and host of every address, including those for tokens.
        let elsewhere = toml.replace("fetch = { ", "fetch = { base_url = 'http://127.0.0.1:9/hr/', ");
        let config = load(&elsewhere, &[]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let api = &config.sources[0].fetch.as_ref().unwrap().api;
        assert_eq!(api.base(), "http://127.0.0.1:9/hr", "{name}");
        assert!(api.token_url().is_none_or(|url| url.starts_with("http://127.0.0.1:9/hr/")), "{name}");
    }
}

#[test]
fn settings_not_needed_to_read_people_are_no_error() {
    let all = "base_url = 'http://127.0.0.1:9', token = 't', username = 'u', password = 'p', client_id = 'c', client_secret = 's', \
               values = { subdomain = 'a', company_id = 'b', integration_id = 'c', member_id = 'd' }";
    for name in presets::names() {
        let has_user = matches!(name, "paylocity" | "generic-basic");
        let signature = if has_user { "signature = { username = 'hr' }\n" } else { "" };
        let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let toml = format!(
            "[[source]]\nname = 'a'\npreset = '{name}'\nsecrets = ['{secret}']\n{signature}fetch = {{ {all} }}"
        );
        load(&toml, &[]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    }
}

#[test]
fn a_client_certificate_comes_with_its_key() {
    let fetch = "token = 't'\nvalues = { subdomain = 'acme' }";
    let refused = |more: &str| {
        let toml = format!(
            "[[source]]\nname = 'a'\npreset = 'bamboohr'\nsecrets = ['0123456789abcdef']\n[source.fetch]\n{fetch}\n{more}"
        );
        load(&toml, &[]).map(|_| ()).map_err(|errors| errors.0.into_iter().map(|error| error.key).collect::<Vec<_>>())
    };
    assert_eq!(refused("client_certificate = 'PEM'"), Err(vec!["source[0].fetch.client_key".to_owned()]));
    assert_eq!(refused("client_key = 'PEM'"), Err(vec!["source[0].fetch.client_certificate".to_owned()]));
    assert_eq!(refused("client_certificate = 'PEM'\nclient_key = 'PEM'"), Ok(()));
}

#[test]
fn a_fetch_that_cannot_work_is_reported_by_key_and_never_by_value() {
    let source = |fetch: &str| {
        format!("[[source]]\nname = 'a'\npreset = 'bamboohr'\nsecrets = ['0123456789abcdef']\n[source.fetch]\n{fetch}")
    };
    let keys = |fetch: &str| -> Vec<String> {
        let refused = load(&source(fetch), &[]).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        refused.0.into_iter().map(|error| error.key).collect()
    };
    assert_eq!(keys("token = 'hunter2'"), ["source[0].fetch.values.subdomain"]);
    assert_eq!(keys("values = { subdomain = 'acme' }"), ["source[0].fetch.token"]);
    assert_eq!(keys("token = 'hunter2'\nvalues = { subdomain = 'a/b' }"), ["source[0].fetch.values.subdomain"]);
    assert_eq!(
        keys("token = 'hunter2'\nbase_url = 'ftp://x'\nvalues = { subdomain = 'a' }"),
        ["source[0].fetch.base_url"]
    );
    assert_eq!(keys("token = { env = 'NOT_SET' }\nvalues = { subdomain = 'a' }"), ["source[0].fetch.token"]);
    assert_eq!(
        keys("token = 'hunter2'\napi_key = 'hunter2'\nvalues = { subdomain = 'a' }"),
        ["source[0].fetch.api_key"]
    );
    assert_eq!(keys("token = 'hunter2'\nlag_s = 'hunter2'\nvalues = { subdomain = 'a' }"), ["source[0].fetch.lag_s"]);
    assert_eq!(
        keys(
            "token = 'hunter2'\nvalues = { subdomain = 'a' }\nstep = [{ path = 'x' }, { path = '/{id}', method = 'PUT' }]"
        ),
        ["source[0].fetch.step[1].method"]
    );
    assert_eq!(
        keys("token = 'hunter2'\nvalues = { subdomain = 'a' }\nstep = [{ path = 'x', body = {} }]\nlag_s = 601"),
        ["source[0].fetch.lag_s", "source[0].fetch.step[0].body", "source[0].fetch.step[0].path"]
    );
    assert!(
        load(&source("token = 'x'\nbase_url = 'http://127.0.0.1:9'"), &[]).is_ok(),
        "the host needs no subdomain then"
    );
}

#[test]
fn rules_for_webhooks_hold_for_reads_too() {
    let toml = "[[source]]\nname = 'a'\npreset = 'bamboohr'\nsecrets = ['0123456789abcdef']\nmapping = { address_domains = ['example.com'], names = 'legal', zone = 'Europe/Berlin' }\n\
        fetch = { token = 't', base_url = 'http://127.0.0.1:9' }";
    let config = load(toml, &[]).unwrap();
    let read = &config.sources[0].fetch.as_ref().unwrap().api.rules().mapping;
    assert_eq!((read.address_domains.as_slice(), read.names), (&["example.com".to_owned()][..], Names::Legal));
    assert_eq!(format!("{:?}", read.zone), "Europe/Berlin");
}

#[test]
fn a_groups_fact_must_be_read_by_some_source() {
    let source = "[[source]]\nname = 'hr'\nsecrets = ['whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=']\n[source.mapping.facts]\ndepartment = '/data/department'\n";
    let wrong = |group: &str| load(&format!("{source}[[group]]\n{group}"), &[]).unwrap_err().to_string();
    assert!(
        wrong("name = 'Sales'\nfact = 'location'").starts_with("group[0].fact: CONFIG-VALUE: is read by no source")
    );
    assert!(wrong("fact = 'department'").starts_with("group[0].name: CONFIG-VALUE: is not a valid name"));
    assert!(wrong("name = 'Sales'\nfact = 'department'\nvalues = [' ']").starts_with("group[0].values: CONFIG-VALUE:"));
    let config = load(&format!("{source}[[group]]\nname = '{{value}}'\nfact = 'department'"), &[]).unwrap();
    assert_eq!((config.groups.len(), config.groups[0].values.len()), (1, 0));
}
