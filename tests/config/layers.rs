//! Files, the environment, defaults, and all errors at once.

use std::collections::BTreeSet;
use std::fs;

use scim_bridge::config::{Config, ConfigCode, LogFormat, PostmanAuth, StoreUrl, presets};
use scim_bridge::core::mapping::Mapping;
use secrecy::ExposeSecret;

use super::{Folder, SECRETS, errors, load, pairs};

#[test]
fn without_a_file_two_variables_are_enough() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.sources.len(), 1);
    let hr = &config.sources[0];
    assert_eq!((hr.name.as_str(), hr.dedupe_days, &hr.mapping), ("hr", 7, &Mapping::default()));
    assert_eq!(hr.signature.key.strip_prefix, "whsec_");
    assert_eq!(hr.content_types, ["application/json"]);
    assert_eq!(hr.secrets[0].secret.current().expose_secret(), SECRETS[0].1);
    assert_eq!(config.postman.key.current().expose_secret(), "PMAK-0");
    assert_eq!(config.postman.base_url, "https://api.getpostman.com/scim/v2");
    assert!(matches!(&config.store.url, StoreUrl::Embedded { dir } if dir.as_os_str() == "./data"));
}

#[test]
fn a_variable_with_one_underscore_instead_of_two_is_reported() {
    for (name, right) in [
        ("SCIM_BRIDGE_POSTMAN_TIMEOUT_S", "SCIM_BRIDGE__POSTMAN__TIMEOUT_S"),
        ("SCIM_BRIDGE_POSTMAN__TIMEOUT_S", "SCIM_BRIDGE__POSTMAN__TIMEOUT_S"),
        ("SCIM_BRIDGE_POSTMAN_KEY_FILE", "SCIM_BRIDGE__POSTMAN__KEY"),
        ("SCIM_BRIDGE_SERVER_ADMIN_TOKEN", "SCIM_BRIDGE__SERVER__ADMIN_TOKEN"),
        ("SCIM_BRIDGE_SOURCE_0_NAME", "SCIM_BRIDGE__SOURCE__0__NAME"),
    ] {
        let errors = load("", &[(name, "1")]).unwrap_err();
        let error = errors.0.iter().find(|error| error.key == name).unwrap_or_else(|| panic!("{name}: {errors}"));
        assert!(error.code == ConfigCode::UnknownKey && error.advice.contains(right), "{error}");
    }
    // Kubernetes derives the first three from a service's name.
    let strangers = [
        ("SCIM_BRIDGE_SERVICE_HOST", "10.0.0.1"),
        ("SCIM_BRIDGE_PORT", "tcp://10.0.0.1:80"),
        ("SCIM_BRIDGE_SERVER_PORT_8080_TCP", "tcp://10.0.0.1:80"),
        ("SCIM_BRIDGE_READ_TOKEN", "x"),
    ];
    assert!(load("", &strangers).is_ok());
    let own = "[postman]\nkey = { env = 'SCIM_BRIDGE_POSTMAN_KEY' }";
    assert!(load(own, &[("SCIM_BRIDGE_POSTMAN_KEY", "PMAK-1")]).is_ok(), "it is used");
}

#[test]
fn a_command_without_secrets_reads_the_rest() {
    let folder = Folder::with("[server]\nadmin_token = { env = 'NOT_SET' }");
    let config = Config::load_without_secrets(Some(&folder.path("c.toml")), std::iter::empty()).unwrap();
    assert_eq!((config.sources[0].name.as_str(), config.sources[0].secrets.len()), ("hr", 0));
    assert!(config.server.admin_token.is_none());
    let folder = Folder::with("[server]\nlisten = 'x'");
    assert!(Config::load_without_secrets(Some(&folder.path("c.toml")), std::iter::empty()).is_err());
}

#[test]
fn the_environment_wins_over_the_file_in_any_type() {
    let config = load(
        "[postman]\ntimeout_s = 7\nwrites_per_minute = 5\nkey = { file = '/not/there' }\n[log]\nlevel = 'warn'",
        &[
            ("SCIM_BRIDGE__POSTMAN__TIMEOUT_S", "9"),
            ("SCIM_BRIDGE__POSTMAN__X_API_KEY", "true"),
            ("SCIM_BRIDGE__POSTMAN__AUTH", "raw"),
            ("SCIM_BRIDGE__POSTMAN__KEY__ENV", "OTHER_KEY"),
            ("OTHER_KEY", "0042"),
            ("SCIM_BRIDGE__LOG__FORMAT", "json"),
            ("SCIM_BRIDGE__SOURCE__0__NAME", "people"),
            ("SCIM_BRIDGE__SOURCE__0__PRESET", "github"),
            ("SCIM_BRIDGE__SOURCE__0__SECRETS__0", "0012345678901234"),
            ("SCIM_BRIDGE__SOURCE__0__SECRETS__1__ENV", "HR_SECRET"),
            ("SCIM_BRIDGE__SOURCE__0__MAPPING__HIRE", "[\"created\", \"rehired\"]"),
            ("SCIM_BRIDGE__SOURCE__0__MAPPING__EMAIL", "/mail"),
            ("RUST_LOG", "debug"),
        ],
    )
    .unwrap();
    assert_eq!((config.postman.timeout_s, config.postman.writes_per_minute), (9, 5));
    assert_eq!((config.postman.x_api_key, config.postman.auth), (true, PostmanAuth::Raw));
    assert_eq!(config.postman.key.current().expose_secret(), "0042");
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Json, "debug"));
    let source = &config.sources[0];
    assert_eq!((source.name.as_str(), source.secrets.len()), ("people", 2));
    assert_eq!(source.secrets[0].secret.current().expose_secret(), "0012345678901234");
    assert_eq!(source.mapping.hire.values(), ["created", "rehired"]);
    assert_eq!(source.mapping.email.to_string(), "`/mail`");
}

#[test]
fn a_named_file_must_be_there_and_may_be_named_by_the_environment() {
    let folder = Folder::with("[worker]\nconcurrency = 3");
    let named = [("SCIM_BRIDGE_CONFIG".to_owned(), folder.path("c.toml").display().to_string())];
    let env = || SECRETS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    assert_eq!(Config::load(None, env().chain(named)).unwrap().worker.concurrency, 3);
    let error = Config::load(Some(&folder.path("other.toml")), env()).unwrap_err();
    assert_eq!((error.0.len(), error.0[0].code), (1, ConfigCode::File));
}

#[test]
fn all_errors_are_reported_at_once_with_their_keys() {
    let found = errors(
        "typo = 1\n\
         [server]\nlisten = 'here'\nbody_bytes_max = 1\nbodyy = 2\n\
         [postman]\ntimeout_s = 'soon'\nauth = 'basic'\nbase_url = 'http://scim.example.com'\n\
         [worker]\nlease_s = -5\nconcurrency = 0\n[log]\nlevel = 'verbose'\n\
         [store]\nurl = 'redis://:pass@'\n\
         [[source]]\npreset = 'nope'\n\
         [[source]]\nname = 'UPPER'\nsecrets = [{ env = 'UNSET' }, { file = '/not/there' }, 5]\ndedupe_days = 0\n\
         [[source]]\nname = 'a'\nsecrets = [{ env = 'UNSET' }]\nsignature = { header = 'x', signed = '{timestamp}', oops = 1 }\n\
         mapping = { email = 'data.email', hire = [], update = [], leave = [], what = 1 }",
        &[("SCIM_BRIDGE__RETRY__FIRST_MS", "ten"), ("SCIM_BRIDGE__HOLD__PROBE", "1")],
    );
    assert_eq!(
        pairs(&found),
        [
            ("hold.probe", "CONFIG-UNKNOWN-KEY"),
            ("log.level", "CONFIG-VALUE"),
            ("postman.auth", "CONFIG-VALUE"),
            ("postman.base_url", "CONFIG-VALUE"),
            ("postman.timeout_s", "CONFIG-VALUE"),
            ("retry.first_ms", "CONFIG-VALUE"),
            ("server.body_bytes_max", "CONFIG-VALUE"),
            ("server.bodyy", "CONFIG-UNKNOWN-KEY"),
            ("server.listen", "CONFIG-VALUE"),
            ("source[0].name", "CONFIG-SOURCE"),
            ("source[0].preset", "CONFIG-PRESET"),
            ("source[0].secrets", "CONFIG-SECRET"),
            ("source[1].dedupe_days", "CONFIG-VALUE"),
            ("source[1].name", "CONFIG-VALUE"),
            ("source[1].secrets", "CONFIG-VALUE"),
            ("source[2].mapping.email", "CONFIG-VALUE"),
            ("source[2].mapping.hire", "CONFIG-SOURCE"),
            ("source[2].mapping.what", "CONFIG-UNKNOWN-KEY"),
            ("source[2].secrets[0]", "CONFIG-SECRET"),
            ("source[2].signature.oops", "CONFIG-UNKNOWN-KEY"),
            ("source[2].signature.signed", "CONFIG-SOURCE"),
            ("source[2].signature.signed", "CONFIG-SOURCE"),
            ("store.url", "CONFIG-VALUE"),
            ("typo", "CONFIG-UNKNOWN-KEY"),
            ("worker.concurrency", "CONFIG-VALUE"),
            ("worker.lease_s", "CONFIG-VALUE"),
        ]
    );
}

#[test]
fn each_error_is_one_line_with_advice() {
    let text =
        load("[postman]\ntimeout_s = 400\nkye = 'x'\n[[source]]\nname = 'a'\npreset = 'workdy'\nsecrets = ['s']", &[])
            .unwrap_err()
            .to_string()
            .replace(&presets::names().join(", "), "(their names)");
    insta::assert_snapshot!(text, @r"
    postman.kye: CONFIG-UNKNOWN-KEY: no such key. Correct or remove it; known here: allow_http, auth, base_url, ca_file, connect_timeout_s, email_change, key, locale, look_up_pages_max, rate_window_s, read_lag_s, reads_per_minute, team, timeout_s, writes_per_minute, x_api_key.
    postman.timeout_s: CONFIG-VALUE: 400 is out of bounds. Give a whole number from 1 to 300.
    source[0].preset: CONFIG-PRESET: no preset `workdy`. The presets are (their names); or point `preset_file` at a file.
    ");
}

#[test]
fn a_gap_in_a_list_a_name_twice_and_no_source_at_all_are_errors() {
    assert_eq!(pairs(&errors("", &[("SCIM_BRIDGE__SOURCE__1__NAME", "x")]))[0], ("source[1].name", "CONFIG-VALUE"));
    let twice = "[[source]]\nname = 'a'\nsecrets = 'c2VjcmV0LW9mLXRoZS10ZXN0cw=='\n[[source]]\nname = 'a'\nsecrets = 'c2VjcmV0LW9mLXRoZS10ZXN0cw=='";
    assert_eq!(pairs(&errors(twice, &[])), [("source[1].name", "CONFIG-SOURCE")]);
    let none = Config::load(Some(&Folder::with("").path("c.toml")), std::iter::empty());
    assert!(none.is_err());
    let folder = Folder::with("");
    let keys: BTreeSet<String> = Config::load(Some(&folder.path("c.toml")), std::iter::empty())
        .unwrap_err()
        .0
        .into_iter()
        .map(|e| e.key)
        .collect();
    assert_eq!(keys, BTreeSet::from(["postman.key".to_owned(), "source".to_owned()]));
}

#[test]
fn keys_without_effect_are_accepted_and_reported() {
    let config = load("[store]\nfinished_keep_days = 30\n[retry]\nnot_found_tries = 'any'\n[[source]]\nname = 'a'\npreset = 'humaans'\nsecrets = ['0123456789abcdef']", &[]).unwrap();
    for notice_start in [
        "store.finished_keep_days has no effect any more",
        "retry.not_found_tries has no effect any more",
        "source[0] (`a`): its preset is a guess",
    ] {
        assert!(
            config.notices.iter().any(|notice| notice.starts_with(notice_start)),
            "{notice_start}: {:?}",
            config.notices
        );
    }
    assert!(load("", &[]).unwrap().notices.is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_the_only_error_reported() {
    let folder = Folder::with("[postman\nkey = \"PMAK-1\"\n");
    let nothing_set = || Config::load(Some(&folder.path("c.toml")), std::iter::empty()).unwrap_err().0;
    let errors = nothing_set();
    assert_eq!((errors.len(), errors[0].code), (1, ConfigCode::Syntax), "{errors:?}");
    let utf_16: Vec<u8> = "\u{feff}[postman]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path("c.toml"), utf_16).unwrap();
    let errors = nothing_set();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("it is UTF-16. Save it as UTF-8."), "{}", errors[0]);
    fs::remove_file(folder.path("c.toml")).unwrap();
    let errors = nothing_set();
    assert_eq!((errors.len(), errors[0].code), (1, ConfigCode::File), "{errors:?}");
}

#[test]
fn a_single_bracket_is_reported_with_the_sources_other_errors() {
    let errors = load("[source]\nname = \"hr\"\nsecrets = [{ env = \"NOT_SET\" }]\n", &[]).unwrap_err().0;
    assert_eq!(errors.iter().map(|error| error.key.as_str()).collect::<Vec<_>>(), ["source", "source[0].secrets[0]"]);
    assert!(errors[0].to_string().contains("Write [[source]], with two brackets."), "{}", errors[0]);
}
