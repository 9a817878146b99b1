//! A source that may only post from certain networks, behind proxies.

use serde_json::Value;

use crate::process::{Bridge, Home, SECRET, eventually, http, payload, sim};

/// Posts a signed delivery as a proxy forwards it; returns the status.
async fn forwarded(bridge: &Bridge, id: &str, forwarded_for: &str) -> u16 {
    let body = payload("employee.hired", id, "Ada", "Lovelace");
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let signature = standardwebhooks::Webhook::new(SECRET).unwrap().sign(id, now, body.as_bytes()).unwrap();
    let request = http().post(format!("http://{}/webhooks/hr", bridge.listen)).header("webhook-signature", signature);
    let request = request.header("webhook-id", id).header("webhook-timestamp", now);
    let request = request.header("content-type", "application/json").header("x-forwarded-for", forwarded_for);
    request.body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_is_bound_to_addresses_named_by_trusted_proxies() {
    for trust in ["trusted_proxies = [\"127.0.0.1\"]", "trusted_hops = 1"] {
        let sim = sim();
        let source = format!("[[source]]\nname = \"hr\"\nsecrets = [\"{SECRET}\"]\nallow_from = [\"192.0.2.0/24\"]");
        let home = Home::new(&sim, &format!("[server]\n{trust}\n{source}"));
        let bridge = home.serve();
        assert_eq!(forwarded(&bridge, "E-1", "192.0.2.7").await, 200, "{trust}");
        assert_eq!(forwarded(&bridge, "E-2", "198.51.100.7").await, 401, "{trust}");
        let is_named_by_a_stranger = forwarded(&bridge, "E-3", "192.0.2.7, 198.51.100.7").await;
        assert_eq!(is_named_by_a_stranger, 401, "{trust}: only the proxy's own header counts");
        let refused = eventually(async || {
            let mut status = home.command(&["status", "--json"]);
            let output = status.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let problems = report["problems"].as_array().unwrap();
            let refused = problems.iter().find(|problem| problem["code"] == "SOURCE-REFUSED");
            assert!(refused.is_none() || output.status.code() == Some(3), "{output:?}");
            refused.filter(|refused| refused["count"] == 2).cloned().ok_or_else(|| format!("{trust}: {report}"))
        })
        .await;
        let text = refused.to_string();
        assert!(text.contains("address") && text.contains("allow_from"), "{text}");
        bridge.settled().await;
        assert_eq!(sim.members().len(), 1, "{trust}");
    }
}
