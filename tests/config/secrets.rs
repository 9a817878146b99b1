//! Where secrets come from, when they are read again, and that they are never shown.

use std::fs;

use scim_bridge::config::{Config, Refreshed};
use scim_bridge::core::processes::ProcessRole;
use secrecy::ExposeSecret;

use super::{Folder, errors, load, pairs};

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

    // The other role's secrets are not even looked at.
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
fn a_worker_without_the_intakes_variables_serves_the_source_they_would_make() {
    let env = [("POSTMAN_SCIM_KEY".to_owned(), "PMAK-1".to_owned())];
    let load = |role| Config::load_for(Some(&Folder::with("").path("c.toml")), env.clone().into_iter(), role);
    assert_eq!(load(ProcessRole::Worker).unwrap().sources[0].name.as_str(), "hr");
    assert_eq!(load(ProcessRole::Intake).unwrap_err().0[0].key, "source");
}

#[test]
fn a_missing_secret_is_named_by_its_place() {
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
fn a_secret_file_that_goes_wrong_delays_nothing_and_is_reported() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = Folder::with("");
    for name in ["key", "api"] {
        fs::write(folder.path(name), format!("the-first-value-of-the-file-{name}")).unwrap();
    }
    let file = |name: &str| folder.path(name).display().to_string();
    let toml = format!(
        "[postman]\nkey = {{ file = '{}' }}\n[server]\nadmin_token = {{ file = '{}' }}",
        file("key"),
        file("api")
    );
    let mut config = load(&toml, &[]).unwrap();
    let began = std::time::Instant::now();
    let replaced: [(&str, &dyn Fn()); 4] = [
        ("is a pipe", &|| mknodat(CWD, folder.path("key"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap()),
        ("is a directory", &|| fs::create_dir(folder.path("key")).unwrap()),
        ("is a device", &|| std::os::unix::fs::symlink("/dev/zero", folder.path("key")).unwrap()),
        ("is larger than", &|| fs::write(folder.path("key"), vec![b'a'; 70_000]).unwrap()),
    ];
    for (reason, replace) in replaced {
        let _ = fs::remove_file(folder.path("key")).or_else(|_| fs::remove_dir(folder.path("key")));
        replace();
        fs::write(folder.path("api"), format!("a-value-while-the-other-{reason}")).unwrap();
        let Refreshed { changed, failing, .. } = config.secret_files.refresh();
        assert_eq!(changed, ["server.admin_token"], "{reason}: others are read");
        let [(key, problem)] = &failing[..] else { panic!("{reason}: {failing:?}") };
        assert!(key == "postman.key" && problem.contains(reason) && problem.contains(&file("key")), "{problem}");
        assert!(load(&toml, &[]).unwrap_err().to_string().contains(reason), "{reason}: at the start, too");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(4), "nothing was waited for");
    assert_eq!(config.postman.key.current().expose_secret(), "the-first-value-of-the-file-key");
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
    assert!(config.secret_files.refresh().failed.is_empty(), "reported once");
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
fn a_guessable_secret_is_refused_by_its_key_and_never_shown() {
    let short = "[server]\nadmin_token = 'q'\n[[source]]\nname = 'a'\npreset = 'github'\nsecrets = ['zqzqzqzqzqzqzqz']";
    let found = errors(short, &[]);
    assert_eq!(pairs(&found), [("server.admin_token", "CONFIG-SECRET"), ("source[0].secrets[0]", "CONFIG-SECRET")]);
    assert!(!load(short, &[]).unwrap_err().to_string().contains("zqzq"), "{found:?}");
    let long = "[server]\nadmin_token = '0123456789abcdef01234567'\n[[source]]\nname = 'a'\npreset = 'github'\nsecrets = ['0123456789abcdef']";
    assert!(load(long, &[]).is_ok());
    // Users may choose any secret that the HR system sends in a header.
    let header = "[[source]]\nname = 'a'\nsecrets = ['short']\nsignature = { auth = 'static_header', header = 'x' }";
    assert!(load(header, &[]).is_ok());
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
fn a_key_unfit_for_a_header_is_refused_at_start_and_on_change() {
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
