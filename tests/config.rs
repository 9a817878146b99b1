//! The configuration as its users meet it: files, environment, secrets, and every error at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use scim_bridge::config::{
    Config, ConfigCode, ConfigErrors, EmailChange, LogFormat, PostmanAuth, REFERENCE, Refreshed, StoreDurability,
    StoreUrl, TargetChoice, TokenRole, presets,
};
use scim_bridge::core::mapping::{Mapping, Names};
use scim_bridge::core::processes::ProcessRole;
use scim_bridge::core::signature::fields::Tolerance;
use scim_bridge::core::signature::scheme::IdRule;
use secrecy::ExposeSecret;
use tempfile::TempDir;

const SECRETS: [(&str, &str); 2] =
    [("HR_SECRET", "whsec_aHItc2VjcmV0LWZvci10ZXN0cy0wMDAwMDA="), ("POSTMAN_SCIM_KEY", "PMAK-0")];

/// A folder with a configuration file.
struct Folder(TempDir);

impl Folder {
    fn with(toml: &str) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("c.toml"), toml).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let env = SECRETS.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&self.path("c.toml")), env)
    }
}

fn load(toml: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Folder::with(toml).load(env)
}

/// Keys and codes of the errors, in order of the keys.
fn errors(toml: &str, env: &[(&str, &str)]) -> Vec<(String, &'static str)> {
    load(toml, env).unwrap_err().0.into_iter().map(|error| (error.key, error.code.as_str())).collect()
}

fn pairs<'a>(errors: &'a [(String, &'static str)]) -> Vec<(&'a str, &'a str)> {
    errors.iter().map(|(key, code)| (key.as_str(), *code)).collect()
}

/// The reference file with its keys in force.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with([' ', '#']) => format!("{key}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    REFERENCE.lines().map(line).collect()
}

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
fn the_reference_file_tells_the_defaults_and_nothing_else() {
    let text = uncommented();
    let tree: toml::Table = text.parse().unwrap();
    assert!(tree["source"][0].get("dedupe_days").is_some());
    // These have no default: their lines show how they are written.
    let without_default = [
        "admin_token",
        "workers",
        "ca_file",
        "cert_file",
        "key_file",
        "username",
        "password",
        "sentinel_username",
        "sentinel_password",
        "preset_file",
        "assume",
        "team",
        "leave_at",
        // Of a target that is not Postman.
        "name",
        "admin_url",
        "field",
        "body_bytes_max",
    ];
    let name_of_source = "name = \"hr\"";
    let shown = |line: &&str| {
        *line == name_of_source || !without_default.contains(&line.split('=').next().unwrap_or_default().trim())
    };
    // Examples of entries, each up to the next blank line.
    let mut in_example = false;
    let is_example = |line: &&str| {
        in_example = (in_example || (line.starts_with("[[") && *line != "[[source]]")) && !line.is_empty();
        !in_example
    };
    let in_force = text.lines().filter(is_example).filter(shown).collect::<Vec<_>>().join("\n");
    let told = load(&in_force, &[]).unwrap();
    let default = load("", &[]).unwrap();
    assert_eq!(format!("{told:?}"), format!("{default:?}"));
    // As it is delivered, nothing is in force.
    assert_eq!(format!("{:?}", load(REFERENCE, &[]).unwrap()), format!("{default:?}"));
}

#[test]
fn every_key_of_the_reference_file_is_in_the_reference_document() {
    let document = include_str!("../docs/configuration.md");
    let tree: toml::Table = uncommented().parse().unwrap();
    for (section, keys) in &tree {
        let heading = if keys.is_array() { format!("\n## [[{section}]]") } else { format!("\n## [{section}]") };
        let keys = keys.as_array().map_or(keys, |entries| &entries[0]);
        let (_, text) = document.split_once(&heading).expect(section);
        let text = text.split("\n## ").next().unwrap();
        let of = |table: &str| keys.get(table).and_then(toml::Value::as_table).into_iter().flatten();
        for (key, _) in keys.as_table().unwrap().iter().chain(of("signature")).chain(of("mapping")) {
            assert!(text.contains(&format!("\n| `{key}` |")), "{section}.{key}");
        }
    }
    for name in presets::names() {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
    for code in ConfigCode::ALL {
        assert!(document.contains(code.as_str()), "{code}");
    }
}

#[test]
fn the_source_that_the_document_spells_out_reads_as_it_says() {
    let (_, after) = include_str!("../docs/configuration.md").split_once("### A source spelt out").unwrap();
    let toml = after.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = Folder::with("");
    fs::write(folder.path("secret"), "0123456789abcdef").unwrap();
    let toml = toml.replace("/run/secrets/people", &folder.path("secret").display().to_string());
    let config = load(&toml, &[]).unwrap();
    assert_eq!(config.sources[0].mapping.kind.to_string(), "`root:/event`");
    assert_eq!(config.sources[0].signature.timestamp.as_ref().unwrap().past_s, Tolerance::Seconds(300));
}

#[test]
fn a_variable_with_one_underscore_where_two_are_needed_is_told_and_others_are_left_alone() {
    for (name, right) in [
        ("SCIM_BRIDGE_POSTMAN_TIMEOUT_S", "SCIM_BRIDGE__POSTMAN__TIMEOUT_S"),
        ("SCIM_BRIDGE_POSTMAN__TIMEOUT_S", "SCIM_BRIDGE__POSTMAN__TIMEOUT_S"),
        ("SCIM_BRIDGE_POSTMAN_KEY_FILE", "SCIM_BRIDGE__POSTMAN__KEY"),
        ("SCIM_BRIDGE_SERVER_ADMIN_TOKEN", "SCIM_BRIDGE__SERVER__ADMIN_TOKEN"),
        ("SCIM_BRIDGE_SOURCE_0_NAME", "SCIM_BRIDGE__SOURCE__0__NAME"),
    ] {
        let errors = load("", &[(name, "1")]).unwrap_err();
        let told = errors.0.iter().find(|error| error.key == name).unwrap_or_else(|| panic!("{name}: {errors}"));
        assert!(told.code == ConfigCode::UnknownKey && told.advice.contains(right), "{told}");
    }
    // Kubernetes makes the first three of a service's name.
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
fn a_command_that_needs_no_secret_reads_the_rest() {
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
fn every_error_is_told_at_once_with_its_key() {
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
fn errors_are_a_line_each_that_says_what_to_do() {
    let text =
        load("[postman]\ntimeout_s = 400\nkye = 'x'\n[[source]]\nname = 'a'\npreset = 'workdy'\nsecrets = ['s']", &[])
            .unwrap_err()
            .to_string();
    insta::assert_snapshot!(text, @r"
    postman.kye: CONFIG-UNKNOWN-KEY: no such key. Correct or remove it; known here: allow_http, auth, base_url, ca_file, connect_timeout_s, email_change, key, locale, look_up_pages_max, rate_window_s, read_lag_s, reads_per_minute, team, timeout_s, writes_per_minute, x_api_key.
    postman.timeout_s: CONFIG-VALUE: 400 is out of bounds. Give a whole number from 1 to 300.
    source[0].preset: CONFIG-PRESET: no preset `workdy`. The presets are ashby, bamboohr, bamboohr-fields, deel, employment-hero, factorial, finch, generic-basic, generic-hmac-base64, generic-hmac-hex, generic-token, github, greenhouse, greenhouse-onboarding, gusto, hibob, humaans, keypay, kombo, lever, merge, paylocity, personio, remote, rippling, sapling, shopify, slack, standard-webhooks, stripe, svix, ukg-pro, workable; or point `preset_file` at a file.
    ");
}

#[test]
fn no_error_and_no_debug_output_shows_a_secret() {
    let secret = "s3cr3t-v4lu3s3cr3t-v4lu3";
    for toml in [
        format!("[postman]\nkey = ['{secret}']"),
        format!("[postman]\nkey = {{ valeu = '{secret}' }}"),
        format!("[postman]\nkey = {{ value = '{secret}', env = 'X' }}"),
        format!("[postman]\ntimeout_s = '{secret}'\nx_api_key = '{secret}'\nwrites_per_minute = ['{secret}']"),
        format!("[server]\nadmin_token = {{ value = ['{secret}'] }}"),
        format!("[store]\nurl = 'redis://:{secret}@'"),
        format!("[store]\nurl = 'redis://:{secret}@host/{secret}'"),
        format!("[store]\nurl = 'redis://:{secret}@host'\npassword = '{secret}'"),
        format!("[store]\npassword = ['{secret}']"),
        format!("[store]\nurl = '{secret}'"),
        format!("[[source]]\nname = 'a'\nsecrets = [['{secret}']]"),
        format!("[[source]]\nname = 'a'\nsecrets = [{{ value = '{secret}', not_after = 'tomorrow' }}]"),
        format!("[[source]]\nname = 'a'\nsecret = '{secret}'"),
        format!("[postman]\nkey = '{secret}"),
        format!("postman = '{secret}'"),
        format!("[postman]\nauth = '{secret}'"),
        format!("[postman]\nbase_url = 'https://u:{secret}@example.com'"),
    ] {
        let errors = load(&toml, &[]).unwrap_err();
        let shown = format!("{errors} {errors:?} {}", serde_json::to_string(&errors).unwrap());
        assert!(!shown.contains(secret), "{shown}");
    }
    let toml = format!(
        "[server]\nadmin_token = '{secret}'\n[store]\nurl = 'rediss://{secret}:{secret}@host'\n[postman]\nkey = {{ value = '{secret}' }}\n[[source]]\nname = 'a'\nsecrets = '{secret}'"
    );
    let config = load(&toml, &[]).unwrap();
    assert_eq!(config.server.admin_token.as_ref().unwrap().current().expose_secret(), secret);
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn the_store_can_be_a_redis_with_its_password_in_a_file() {
    let folder = Folder::with("");
    fs::write(folder.path("password"), "first\n").unwrap();
    let toml = format!(
        "[store]\nurl = 'rediss+sentinel://a,b:7/main/2'\nusername = 'bridge'\npassword = {{ file = '{}' }}\n\
         durability = 'replicated'\ndurable_replicas = 2\nkey_prefix = 'hr'",
        folder.path("password").display()
    );
    let mut config = load(&toml, &[]).unwrap();
    let StoreUrl::Redis(url) = &config.store.url else { panic!("{:?}", config.store.url) };
    assert!(url.tls && url.database == 2);
    let redis = &config.store.redis;
    assert_eq!((redis.durability, redis.durable_replicas), (StoreDurability::Replicated, 2));
    assert_eq!(redis.key_prefix, "hr");
    assert_eq!(redis.username.as_ref().unwrap().current().expose_secret(), "bridge");
    assert_eq!(redis.password.as_ref().unwrap().current().expose_secret(), "first");
    fs::write(folder.path("password"), "second\n").unwrap();
    assert_eq!(config.secret_files.refresh().changed, ["store.password"]);
    assert_eq!(config.store.redis.password.as_ref().unwrap().current().expose_secret(), "second");
}

#[test]
fn redis_on_another_host_needs_tls_or_a_word_that_it_may_do_without() {
    let refused = |url: &str, more: &str| match load(&format!("[store]\nurl = '{url}'\n{more}"), &[]) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.into_iter().map(|error| (error.key, error.code.as_str())).collect(),
    };
    let told = [("store.url".to_owned(), "CONFIG-VALUE")];
    for url in [
        "redis://cache",
        "redis://10.0.0.7:6379/0",
        "redis+sentinel://127.0.0.1,b/main",
        "redis-cluster://localhost,[2001:db8::1]:7",
    ] {
        assert_eq!(refused(url, ""), told, "{url}");
        assert_eq!(refused(url, "allow_plain = true"), [], "{url}");
        assert_eq!(refused(&url.replacen("redis", "rediss", 1), ""), [], "{url}");
    }
    for url in [
        "redis://127.0.0.1:6379",
        "redis://localhost",
        "redis://[::1]:6379/0",
        "redis-cluster://127.0.0.1:1,127.0.0.1:2",
    ] {
        assert_eq!(refused(url, ""), [], "{url}");
    }
}

#[test]
fn what_does_not_fit_together_in_the_store_is_told() {
    let found = errors(
        "[store]\nurl = 'redis://u:p@host'\nusername = 'u'\npassword = 'p'\nca_file = '/not/there'\ncert_file = '/dev/null'\n\
         key_prefix = '{x}'\ndurability = 'maybe'\ndurable_replicas = 2\n\
         response_timeout_ms = 1",
        &[],
    );
    let value = "CONFIG-VALUE";
    assert_eq!(
        pairs(&found),
        [
            ("store.ca_file", "CONFIG-FILE"),
            ("store.cert_file", value),
            ("store.durability", value),
            ("store.durable_replicas", value),
            ("store.key_prefix", value),
            ("store.password", value),
            ("store.response_timeout_ms", value),
            ("store.url", value),
            ("store.username", value),
        ]
    );
}

#[test]
fn a_role_reads_its_own_secrets_and_no_others() {
    let folder = Folder::with("");
    let file = |name: &str| folder.path(name).display().to_string();
    for (name, secret) in
        [("hr", "whsec_dGhpcy1pcy1uby1zZWNyZXQtb2YtYW55Ym9keQ=="), ("key", "PMAK-1"), ("api", "api-1")]
    {
        fs::write(folder.path(name), secret).unwrap();
    }
    let toml = format!(
        "[postman]\nkey = {{ file = '{}' }}\n[[source]]\nname = 'hr'\npreset = 'bamboohr'\nsecrets = [{{ file = '{}' }}]\n\
         [source.fetch]\ntoken = {{ file = '{}' }}\nvalues = {{ subdomain = 'acme', company_id = 'acme' }}\n",
        file("key"),
        file("hr"),
        file("api")
    );
    fs::write(folder.path("c.toml"), toml).unwrap();
    let load = |role| Config::load_for(Some(&folder.path("c.toml")), std::iter::empty(), role);
    let all = load(ProcessRole::All).unwrap();
    assert_eq!(all.postman.key.current().expose_secret(), "PMAK-1");
    assert_eq!(all.sources[0].fetch.as_ref().unwrap().credentials.len(), 1);

    // What the other role's are is not even looked at.
    for name in ["key", "api"] {
        fs::remove_file(folder.path(name)).unwrap();
    }
    let mut intake = load(ProcessRole::Intake).unwrap();
    assert!(intake.sources[0].secrets[0].secret.current().expose_secret().starts_with("whsec_"));
    assert!(intake.postman.key.current().expose_secret().is_empty());
    assert!(intake.sources[0].fetch.as_ref().unwrap().credentials.is_empty());
    assert_eq!(intake.secret_files.refresh().failed, []);
    let mut missing: Vec<_> = load(ProcessRole::Worker).unwrap_err().0.into_iter().map(|error| error.key).collect();
    missing.sort();
    assert_eq!(missing, ["postman.key", "source[0].fetch.token"]);

    for (name, secret) in [("key", "PMAK-1"), ("api", "api-1")] {
        fs::write(folder.path(name), secret).unwrap();
    }
    fs::remove_file(folder.path("hr")).unwrap();
    let mut worker = load(ProcessRole::Worker).unwrap();
    assert_eq!(worker.postman.key.current().expose_secret(), "PMAK-1");
    assert!(worker.sources[0].secrets[0].secret.current().expose_secret().is_empty());
    assert_eq!(worker.secret_files.refresh().failed, []);
    assert_eq!(load(ProcessRole::Intake).unwrap_err().0[0].key, "source[0].secrets[0]");
}

#[test]
fn a_worker_without_the_variables_of_the_intake_works_for_the_source_that_these_would_make() {
    let env = [("POSTMAN_SCIM_KEY".to_owned(), "PMAK-1".to_owned())];
    let load = |role| Config::load_for(Some(&Folder::with("").path("c.toml")), env.clone().into_iter(), role);
    assert_eq!(load(ProcessRole::Worker).unwrap().sources[0].name.as_str(), "hr");
    assert_eq!(load(ProcessRole::Intake).unwrap_err().0[0].key, "source");
}

#[test]
fn a_secret_that_is_not_there_is_named_by_where_it_should_be() {
    let folder = Folder::with("");
    fs::write(folder.path("empty"), "\n").unwrap();
    let toml = format!(
        "[postman]\nkey = {{ env = 'NOT_SET' }}\n[server]\nadmin_token = {{ env = 'BLANK' }}\n\
         [[source]]\nname = 'a'\nsecrets = [{{ file = '{}' }}, {{ file = '/not/there' }}]",
        folder.path("empty").display()
    );
    let errors = load(&toml, &[("BLANK", "")]).unwrap_err().to_string();
    for part in [
        "postman.key: CONFIG-SECRET: environment variable `NOT_SET` is not set",
        "server.admin_token: CONFIG-SECRET: environment variable `BLANK` is empty",
        "source[0].secrets[0]: CONFIG-SECRET: file `",
        "source[0].secrets[1]: CONFIG-SECRET: file `/not/there` cannot be read",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
}

#[test]
fn a_secret_file_is_read_again_when_it_changes_however_it_is_replaced() {
    let folder = Folder::with("");
    // As Kubernetes mounts a secret: the name is a link into a folder that is a link itself.
    for (version, text) in [("v1", "first\n"), ("v2", "second\r\n")] {
        fs::create_dir(folder.path(version)).unwrap();
        fs::write(folder.path(version).join("key"), text).unwrap();
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, folder.path("..new")).unwrap();
        fs::rename(folder.path("..new"), folder.path("..data")).unwrap();
    };
    link("v1");
    std::os::unix::fs::symlink("..data/key", folder.path("key")).unwrap();
    let toml = format!("[postman]\nkey = {{ file = '{}' }}", folder.path("key").display());
    let mut config = load(&toml, &[]).unwrap();
    let value = |config: &Config| config.postman.key.current().expose_secret().to_owned();
    assert_eq!(value(&config), "first");
    assert!(config.secret_files.refresh().changed.is_empty());

    link("v2");
    assert_eq!(config.secret_files.refresh().changed, ["postman.key"]);
    assert_eq!(value(&config), "second");

    fs::write(folder.path("v2").join("key"), "").unwrap();
    let failed = config.secret_files.refresh();
    assert_eq!((failed.changed.len(), failed.failed[0].0.as_str()), (0, "postman.key"));
    assert!(config.secret_files.refresh().failed.is_empty(), "told once");
    assert_eq!(value(&config), "second");

    fs::write(folder.path("v2").join("key"), "third").unwrap();
    assert_eq!(config.secret_files.refresh().changed, ["postman.key"]);
    assert_eq!(value(&config), "third");
}

#[test]
fn a_source_s_secret_must_fit_its_scheme_at_start_and_when_its_file_changes() {
    let bad = "[[source]]\nname = 'a'\nsecrets = ['not base64!', { value = 'whsec_' }]";
    assert_eq!(
        pairs(&errors(bad, &[])),
        [("source[0].secrets[0]", "CONFIG-SECRET"), ("source[0].secrets[1]", "CONFIG-SECRET")]
    );
    let folder = Folder::with("");
    let file = folder.path("secret");
    fs::write(&file, "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw==").unwrap();
    let toml = format!("[[source]]\nname = 'a'\nsecrets = {{ file = '{}' }}", file.display());
    let mut config = load(&toml, &[]).unwrap();
    fs::write(&file, "not base64!").unwrap();
    let refreshed = config.secret_files.refresh();
    assert_eq!((refreshed.changed.len(), refreshed.failed.len()), (0, 1));
    assert_eq!(config.sources[0].secrets[0].secret.current().expose_secret(), "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw==");
}

#[test]
fn what_could_be_guessed_is_refused_by_its_key_and_never_shown() {
    let short = "[server]\nadmin_token = 'q'\n[[source]]\nname = 'a'\npreset = 'github'\nsecrets = ['zqzqzqzqzqzqzqz']";
    let found = errors(short, &[]);
    assert_eq!(pairs(&found), [("server.admin_token", "CONFIG-SECRET"), ("source[0].secrets[0]", "CONFIG-SECRET")]);
    assert!(!load(short, &[]).unwrap_err().to_string().contains("zqzq"), "{found:?}");
    let long = "[server]\nadmin_token = '0123456789abcdef01234567'\n[[source]]\nname = 'a'\npreset = 'github'\nsecrets = ['0123456789abcdef']";
    assert!(load(long, &[]).is_ok());
    // A secret that stands in a header is what the HR system lets people choose.
    let header = "[[source]]\nname = 'a'\nsecrets = ['short']\nsignature = { auth = 'static_header', header = 'x' }";
    assert!(load(header, &[]).is_ok());
}

#[test]
fn a_trusted_proxy_is_an_address_or_a_network_and_a_host_is_a_bare_name() {
    let config =
        load("[server]\ntrusted_proxies = ['10.1.2.3/8', '::1']\nadmin_hosts = ['Bridge.example.com']", &[]).unwrap();
    let networks: Vec<_> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.server.admin_hosts, ["bridge.example.com"]);
    for (toml, key) in [
        ("trusted_proxies = ['proxy']", "server.trusted_proxies[0]"),
        ("admin_hosts = ['https://a']", "server.admin_hosts"),
        ("admin_hosts = ['a:80']", "server.admin_hosts"),
        ("connections_per_peer = 0", "server.connections_per_peer"),
    ] {
        assert_eq!(pairs(&errors(&format!("[server]\n{toml}"), &[]))[0].0, key, "{toml}");
    }
}

#[test]
fn a_secret_that_a_handshake_will_bring_may_come_later() {
    let folder = Folder::with("");
    let file = folder.path("token");
    let toml = format!(
        "[[source]]\nname = 'a'\nsecrets = [{{ file = '{0}' }}]\n[source.signature]\nheader = 'x-sig'\n\
         handshake = [{{ capture = {{ token = '/verification_token', file = '{0}' }} }}]",
        file.display()
    );
    let mut config = load(&toml, &[]).unwrap();
    assert_eq!(config.sources[0].secrets[0].secret.current().expose_secret(), "");
    assert_eq!(config.secret_files.refresh(), Refreshed::default());
    fs::write(&file, "brought-by-a-handshake").unwrap();
    assert_eq!(config.secret_files.refresh().changed, ["source[0].secrets[0]"]);
    assert_eq!(config.sources[0].secrets[0].secret.current().expose_secret(), "brought-by-a-handshake");
}

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
fn a_lease_must_outlast_a_call() {
    assert_eq!(pairs(&errors("[worker]\nlease_s = 25", &[])), [("worker.lease_s", "CONFIG-VALUE")]);
    assert_eq!(pairs(&errors("[postman]\ntimeout_s = 51", &[])), [("worker.lease_s", "CONFIG-VALUE")]);
    assert!(load("[postman]\ntimeout_s = 50", &[]).is_ok());
}

#[test]
fn plain_http_is_for_this_machine_or_asked_for() {
    for (url, well) in [
        ("http://127.0.0.1:8081/scim/v2/", true),
        ("http://[::1]:80", true),
        ("http://localhost:1", true),
        ("http://sim:8080", false),
        ("ftp://x", false),
        ("https://x?y", false),
        ("nonsense", false),
    ] {
        assert_eq!(load(&format!("[postman]\nbase_url = '{url}'"), &[]).is_ok(), well, "{url}");
    }
    let config = load("[postman]\nallow_http = true\nbase_url = 'http://sim:8080/v2/'", &[]).unwrap();
    assert_eq!(config.postman.base_url, "http://sim:8080/v2");
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
fn a_key_that_no_header_can_carry_is_refused_and_a_changed_one_is_not_taken() {
    for value in ["two\nlines", "sp ace", "k\u{e9}y"] {
        let errors = errors("", &[("POSTMAN_SCIM_KEY", value)]);
        assert_eq!(pairs(&errors), [("postman.key", "CONFIG-SECRET")]);
    }
    let folder = Folder::with("");
    let file = folder.path("key");
    fs::write(&file, "PMAK-1\n").unwrap();
    let mut config = load(&format!("[postman]\nkey = {{ file = '{}' }}", file.display()), &[]).unwrap();
    fs::write(&file, "PMAK-2\nPMAK-3\n").unwrap();
    assert_eq!(config.secret_files.refresh().failed.len(), 1);
    assert_eq!(config.postman.key.current().expose_secret(), "PMAK-1");
}

#[test]
fn keys_without_consequence_are_accepted_and_told() {
    let config = load("[store]\nfinished_keep_days = 30\n[retry]\nnot_found_tries = 'any'\n[[source]]\nname = 'a'\npreset = 'humaans'\nsecrets = ['0123456789abcdef']", &[]).unwrap();
    for told in [
        "store.finished_keep_days has no effect any more",
        "retry.not_found_tries has no effect any more",
        "source[0] (`a`): its preset is a guess",
    ] {
        assert!(config.notices.iter().any(|notice| notice.starts_with(told)), "{told}: {:?}", config.notices);
    }
    assert!(load("", &[]).unwrap().notices.is_empty());
}

#[test]
fn the_guard_the_tokens_and_the_bounds_are_read_and_bounded() {
    let toml = "[guard]\nleaves_max = 3\n[postman]\nemail_change = 'report'\nread_lag_s = 1\nteam = 'Acme'\n[store]\ndead_letters_max = 5\n\
        [[server.token]]\nname = 'grafana'\ntoken = '0123456789abcdef01234567'\n[[server.token]]\nname = 'ops'\nrole = 'full'\ntoken = '0123456789abcdef01234568'";
    let config = load(toml, &[]).unwrap();
    assert_eq!((config.guard.leaves_max, config.guard.leaves_percent, config.store.dead_letters_max), (3, 10, 5));
    assert_eq!((config.postman.email_change, config.postman.read_lag_s), (EmailChange::Report, 1));
    let roles: Vec<_> = config.server.tokens.iter().map(|token| (token.name.as_str(), token.role)).collect();
    assert_eq!(roles, [("grafana", TokenRole::ReadOnly), ("ops", TokenRole::Full)]);
    let wrong = "[guard]\nleaves_percent = 101\n[store]\nstory_entries_max = 1\n[retry]\nsuspicion_s = 0\n\
        [[server.token]]\nname = 'admin'\ntoken = 'short'\n[[server.token]]\nname = 'a b'\ntoken = '0123456789abcdef01234567'";
    assert_eq!(
        pairs(&errors(wrong, &[])).into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
        [
            "guard.leaves_percent",
            "retry.suspicion_s",
            "server.token[0].name",
            "server.token[0].token",
            "server.token[1].name",
            "store.story_entries_max"
        ]
    );
}

#[test]
fn of_a_body_that_nobody_signed_only_notices_are_made() {
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
        assert!(source.fetch.is_none(), "{name}: nobody is read without a login");
    }
}

/// What a thin preset's system asks for, and nothing else.
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
fn every_thin_preset_reads_people_with_its_systems_login_alone() {
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
        // `base_url` takes the place of scheme and host in every address, that of the tokens included.
        let elsewhere = toml.replace("fetch = { ", "fetch = { base_url = 'http://127.0.0.1:9/hr/', ");
        let config = load(&elsewhere, &[]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let api = &config.sources[0].fetch.as_ref().unwrap().api;
        assert_eq!(api.base(), "http://127.0.0.1:9/hr", "{name}");
        assert!(api.token_url().is_none_or(|url| url.starts_with("http://127.0.0.1:9/hr/")), "{name}");
    }
}

#[test]
fn what_a_preset_does_not_need_to_read_people_is_no_error() {
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
fn a_fetch_that_cannot_work_is_told_by_key_and_never_by_value() {
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
fn what_is_chosen_for_webhooks_holds_for_what_is_read() {
    let toml = "[[source]]\nname = 'a'\npreset = 'bamboohr'\nsecrets = ['0123456789abcdef']\nmapping = { address_domains = ['example.com'], names = 'legal', zone = 'Europe/Berlin' }\n\
        fetch = { token = 't', base_url = 'http://127.0.0.1:9' }";
    let config = load(toml, &[]).unwrap();
    let read = &config.sources[0].fetch.as_ref().unwrap().api.rules().mapping;
    assert_eq!((read.address_domains.as_slice(), read.names), (&["example.com".to_owned()][..], Names::Legal));
    assert_eq!(format!("{:?}", read.zone), "Europe/Berlin");
}

#[test]
fn another_target_than_postman_needs_its_own_address() {
    let wrong = |text: &str| load(text, &[]).unwrap_err().0[0].to_string();
    assert_eq!(
        wrong("[target]\nkind = 'generic-scim'"),
        "target.kind: CONFIG-VALUE: is `generic-scim`, and `postman.base_url` is Postman's own. Let \
         `postman.base_url` name the provider's SCIM base URL, the one before `/Users`."
    );
    assert!(wrong("[target]\nname = 'Slack'").starts_with("target.name: CONFIG-VALUE:"));
    let config = load(
        "[target]\nkind = 'generic-scim'\nname = 'Slack'\n[postman]\nbase_url = 'https://scim.example.com/v2'",
        &[],
    );
    let target = config.unwrap().target;
    assert_eq!((target.kind, target.name.as_deref()), (TargetChoice::GenericScim, Some("Slack")));
}

#[test]
fn a_group_is_made_of_a_fact_that_some_source_reads() {
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

#[test]
fn no_two_alerts_go_to_one_receiver_in_one_format() {
    type Case<'c> = (&'c [(&'c str, &'c String)], &'c [(&'c str, &'c str)]);
    const SIGNED: &str = "secret = 'whsec_aHItc2VjcmV0LWZvci10ZXN0cy0wMDAwMDA='";
    let (slack, signed) = ("format = 'slack'".to_owned(), SIGNED.to_owned());
    let alert = |(url, form): (&str, &String)| format!("[[alert]]\nurl = {url}\n{form}\n");
    let (here, there) = ("'https://a.example.com/x'", "'https://b.example.com/x'");
    let twice: &[(&str, &str)] = &[("alert[1].url", "alert[0].url")];
    let cases: [Case<'_>; 6] = [
        (&[(here, &slack), (there, &slack)], &[]),
        (&[(here, &slack), (here, &signed)], &[]),
        (&[(here, &slack), (here, &slack)], twice),
        (&[(here, &signed), (here, &signed)], twice),
        (&[(here, &slack), ("{ env = 'WHERE' }", &slack)], twice),
        (&[(there, &slack), (here, &slack), (here, &slack)], &[("alert[2].url", "alert[1].url")]),
    ];
    for (alerts, expected) in cases {
        let toml: String = alerts.iter().copied().map(alert).collect();
        let told = load(&toml, &[("WHERE", "https://a.example.com/x\n")]);
        let told = told.err().map(|errors| errors.0).unwrap_or_default();
        assert_eq!(told.len(), expected.len(), "{toml}{told:?}");
        for (error, (key, other)) in told.iter().zip(expected) {
            assert_eq!((error.key.as_str(), error.code.as_str()), (*key, "CONFIG-VALUE"), "{toml}");
            assert!(error.problem.contains(other) && !error.problem.contains("example"), "{}", error.problem);
        }
    }
}
