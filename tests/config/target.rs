//! The target, and the limits of requests to it and to others.

use scim_bridge::config::{EmailChange, TargetChoice, TokenRole};

use super::{errors, load, pairs};

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
fn a_lease_must_outlast_a_call() {
    assert_eq!(pairs(&errors("[worker]\nlease_s = 25", &[])), [("worker.lease_s", "CONFIG-VALUE")]);
    assert_eq!(pairs(&errors("[postman]\ntimeout_s = 51", &[])), [("worker.lease_s", "CONFIG-VALUE")]);
    assert!(load("[postman]\ntimeout_s = 50", &[]).is_ok());
}

#[test]
fn plain_http_needs_loopback_or_permission() {
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
        let errors = load(&toml, &[("WHERE", "https://a.example.com/x\n")]);
        let errors = errors.err().map(|errors| errors.0).unwrap_or_default();
        assert_eq!(errors.len(), expected.len(), "{toml}{errors:?}");
        for (error, (key, other)) in errors.iter().zip(expected) {
            assert_eq!((error.key.as_str(), error.code.as_str()), (*key, "CONFIG-VALUE"), "{toml}");
            assert!(error.problem.contains(other) && !error.problem.contains("example"), "{}", error.problem);
        }
    }
}
