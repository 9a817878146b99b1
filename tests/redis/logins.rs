//! Who we are to the server: passwords, least rights, certificates.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use scim_bridge::app;
use scim_bridge::config::{Config, StoreUrl};
use scim_bridge::core::code::Code;
use scim_bridge::core::event::{Person, SourceName};
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::job::DirectoryEntry;
use scim_bridge::store::Record;
use scim_bridge::store::copy::{CopyError, CopyOptions, copy};

use crate::on_both;
use crate::servers::{Make, Server, free_port};
use crate::stage::{accept, accepts_at_last, claim, code, config, fails_with, now, open, settle};

on_both! {
    a_password_is_needed_and_a_changed_one_is_taken_from_its_file
    a_password_is_rotated_as_the_documentation_says
}

async fn a_password_is_needed_and_a_changed_one_is_taken_from_its_file(make: Make) {
    let mut server = Server::start(make, &[]);
    server.ask(&["CONFIG", "SET", "requirepass", "first"]);
    server.login("default", "first");
    assert_eq!(code(open(&server.url(), &[]).ping().await), Code::StoreAuth);
    assert_eq!(code(open(&server.url(), &[("password", "wrong")]).ping().await), Code::StoreAuth);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "first\n").unwrap();
    let mut config = config(&server.url(), &[("STORE__PASSWORD__FILE", file.to_str().unwrap())]);
    let store = scim_bridge::app::open_store(&config).unwrap();
    accept(store.as_ref()).await.unwrap();
    server.ask(&["CONFIG", "SET", "requirepass", "second"]);
    server.login("default", "second");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    fails_with(store.as_ref(), Code::StoreAuth).await;
    fs::write(&file, "second\n").unwrap();
    assert_eq!(config.secret_files.refresh().changed, ["store.password"]);
    accepts_at_last(store.as_ref()).await;
}

async fn a_password_is_rotated_as_the_documentation_says(make: Make) {
    let server = Server::start(make, &["--appendfsync", "everysec"]);
    server.ask(&["ACL", "SETUSER", "bridge", "on", ">one", "~*", "&*", "+@all"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "one").unwrap();
    let mut keys = vec![("STORE__USERNAME", "bridge"), ("STORE__PASSWORD__FILE", file.to_str().unwrap())];
    if make == Make::Valkey {
        keys.push(("durability", "fsynced"));
    }
    let mut config = config(&server.url(), &keys);
    let store = scim_bridge::app::open_store(&config).unwrap();
    accept(store.as_ref()).await.unwrap();
    server.ask(&["ACL", "SETUSER", "bridge", ">two"]);
    fs::write(&file, "two").unwrap();
    assert_eq!(config.secret_files.refresh().changed, ["store.password"]);
    server.ask(&["ACL", "SETUSER", "bridge", "<one"]);
    // The connections that wait for disks break one by one, while the shared one stays.
    if make == Make::Valkey {
        let clients = server.ask(&["CLIENT", "LIST"]);
        let waited = clients.lines().filter(|line| line.contains(" cmd=waitaof "));
        let ids: Vec<&str> = waited.filter_map(|line| line.strip_prefix("id=")?.split(' ').next()).collect();
        assert!(!ids.is_empty(), "{clients}");
        for id in ids {
            assert_eq!(server.ask(&["CLIENT", "KILL", "ID", id]), "1");
        }
        accept(store.as_ref()).await.unwrap();
    }
    // And the shared one.
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    accepts_at_last(store.as_ref()).await;
}

/// An authority, and two certificates that it signed.
fn certificates(folder: &Path) {
    let script = "set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt
        for name in server client; do
          openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
          printf 'subjectAltName=IP:127.0.0.1' > ext
          openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name.crt
        done";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).stderr(Stdio::piped()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// On Redis alone: the Valkey that the tests install is built without TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_trusts_our_own_authority_and_shows_our_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let port = free_port().to_string();
    let (ca, cert, key) = (path("ca.crt"), path("server.crt"), path("server.key"));
    let _server = Server::start(
        Make::Redis,
        &[
            "--tls-port",
            &port,
            "--tls-ca-cert-file",
            &ca,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            "yes",
        ],
    );
    let url = format!("rediss://127.0.0.1:{port}");
    let (client, client_key) = (path("client.crt"), path("client.key"));
    let all = [("ca_file", ca.as_str()), ("cert_file", client.as_str()), ("key_file", client_key.as_str())];
    let store = open(&url, &all);
    accept(store.as_ref()).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), store.woken()).await.unwrap();
    // Without our certificate, and without trust in theirs.
    assert_eq!(code(open(&url, &all[..1]).ping().await), Code::StoreTls);
    assert_eq!(code(open(&url, &[]).ping().await), Code::StoreTls);
    let elsewhere = format!("rediss://localhost:{port}");
    assert_eq!(code(open(&elsewhere, &all).ping().await), Code::StoreTls);
}
