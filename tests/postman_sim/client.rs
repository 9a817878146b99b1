//! A stand-in, and a plain HTTP client of it that shares no code with the bridge's own.

use reqwest::{Method, RequestBuilder};
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "sim-key";

/// A complete reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

pub(crate) struct Client {
    pub(crate) sim: PostmanSim,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(SimOptions::default())
    }

    pub(crate) fn with(options: SimOptions) -> Self {
        // Even a client of plain HTTP wants a TLS provider; installing it twice fails, which does not matter.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { sim: PostmanSim::start(options).unwrap(), http }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, format!("{}{path}", self.sim.base_url()))
            .header("Authorization", format!("Bearer {KEY}"))
    }

    pub(crate) async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, text: response.text().await? })
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.try_send(self.request("GET", path)).await.unwrap()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.try_send(self.request(method, path).body(body.to_string())).await.unwrap()
    }

    pub(crate) async fn create(&self, user_name: &str) -> Reply {
        self.send("POST", "/Users", &user(user_name, "Ada", "Lovelace")).await
    }

    /// Creates somebody and returns their id.
    pub(crate) async fn created(&self, user_name: &str) -> String {
        let reply = self.create(user_name).await;
        assert_eq!(reply.status, 201);
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn find(&self, user_name: &str) -> Vec<Value> {
        let mut url = url::Url::parse("http://x/Users").unwrap();
        url.query_pairs_mut().append_pair("filter", &format!("userName eq {}", json!(user_name)));
        let reply = self.get(&format!("/Users?{}", url.query().unwrap())).await;
        assert_eq!(reply.status, 200);
        reply.json()["Resources"].as_array().unwrap().clone()
    }

    /// A call to the control endpoint.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &Value) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.sim.control_url());
        self.try_send(self.http.request(method, url).body(body.to_string())).await.unwrap()
    }

    /// Injects a fault, written as on a command line.
    pub(crate) fn inject(&self, fault: &str) -> u64 {
        self.sim.inject(fault.parse().unwrap()).unwrap()
    }
}

/// What Postman's published examples send.
pub(crate) fn user(user_name: &str, given_name: &str, family_name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": user_name,
        "name": {"givenName": given_name, "familyName": family_name},
        "externalId": "23123123",
        "locale": "en-US",
        "groups": [],
        "active": true
    })
}

pub(crate) fn switch(active: bool) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"active": active}}]
    })
}
