//! The store: which engine, and how durable it has to be.

use std::fs;

use scim_bridge::config::{StoreDurability, StoreUrl};
use secrecy::ExposeSecret;

use super::{Folder, errors, load, pairs};

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
fn redis_on_another_host_needs_tls_or_allow_plain() {
    let refused = |url: &str, more: &str| match load(&format!("[store]\nurl = '{url}'\n{more}"), &[]) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.into_iter().map(|error| (error.key, error.code.as_str())).collect(),
    };
    let expected = [("store.url".to_owned(), "CONFIG-VALUE")];
    for url in [
        "redis://cache",
        "redis://10.0.0.7:6379/0",
        "redis+sentinel://127.0.0.1,b/main",
        "redis-cluster://localhost,[2001:db8::1]:7",
    ] {
        assert_eq!(refused(url, ""), expected, "{url}");
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
fn store_settings_that_contradict_each_other_are_reported() {
    let found = errors(
        "[store]\nurl = 'redis://u:p@host'\nusername = 'u'\npassword = 'p'\nca_file = '/not/there'\ncert_file = '/etc/passwd'\n\
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
