//! Authentication with the server: passwords and certificates.

use std::path::Path;
use std::process::{Command, Stdio};

use scim_bridge::core::code::Code;
use scim_bridge::secret::LiveSecret;

use crate::on_both;
use crate::servers::{Make, Server, free_port};
use crate::stage::{accept, accepts_at_last, code, fails_with, link, open, open_at};

on_both! {
    a_password_is_needed_and_a_changed_one_is_used
}

async fn a_password_is_needed_and_a_changed_one_is_used(make: Make) {
    let mut server = Server::start(make, &[]);
    server.ask(&["CONFIG", "SET", "requirepass", "first"]);
    server.login("default", "first");
    let address = format!("127.0.0.1:{}", server.port());
    assert_eq!(code(accept(open(&format!("redis://{address}"), &[]).as_ref()).await), Code::StoreAuth);
    assert_eq!(code(accept(open(&format!("redis://:wrong@{address}"), &[]).as_ref()).await), Code::StoreAuth);

    let password = LiveSecret::new("first".to_owned().into());
    let mut link = link(&format!("redis://{address}"), &[]);
    link.login.password = Some(password.clone());
    let store = open_at(link);
    accept(store.as_ref()).await.unwrap();
    server.ask(&["CONFIG", "SET", "requirepass", "second"]);
    server.login("default", "second");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    fails_with(store.as_ref(), Code::StoreAuth).await;
    password.replace("second".to_owned().into());
    accepts_at_last(store.as_ref()).await;
}

/// A certificate authority, and two certificates that it issued.
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

/// Only on Redis: the Valkey that the tests install is built without TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_trusts_our_own_authority_and_presents_our_certificate() {
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
    // Without our certificate, and without trust in the server's.
    assert_eq!(code(accept(open(&url, &all[..1]).as_ref()).await), Code::StoreTls);
    assert_eq!(code(accept(open(&url, &[]).as_ref()).await), Code::StoreTls);
    let elsewhere = format!("rediss://localhost:{port}");
    assert_eq!(code(accept(open(&elsewhere, &all).as_ref()).await), Code::StoreTls);
}
