//! The admin API of the running process, as the commands ask it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::Context;
use super::failure::Failure;
use crate::app::TOKEN_FILE;
use crate::config::{Config, StoreUrl, process_env};

/// A dead process must not hang a command.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What to do where no process answers.
const UNREACHED: &str = "Start `scim-bridge serve` (if it ended by itself, its log says why), or point `[server] admin_listen` (or --config) at the running process.";
/// What to do where one took the request.
const UNANSWERED: &str = "It has the request, and may still carry it out: before you repeat it, see `scim-bridge status`, and its log for what it is busy with. If another program listens there, point `[server] admin_listen` (or --config) at the running process.";

/// The API, found and opened by the configuration.
pub struct Api {
    http: reqwest::Client,
    base_url: String,
    token: Option<SecretString>,
    /// Where the token should have been, for the error.
    token_file: Option<PathBuf>,
}

impl Api {
    /// The API of the process that the configuration describes.
    pub fn of(context: &Context) -> Result<Self, Failure> {
        Self::of_config(&Config::load_without_secrets(context.config.as_deref(), process_env())?)
    }

    /// The API of the process that this configuration describes.
    pub fn of_config(config: &Config) -> Result<Self, Failure> {
        crate::app::name_target(config);
        let token_file = token_file(&config.store.url);
        let token = match &config.server.admin_token {
            Some(token) => Some((*token.current()).clone()),
            None => token_file.as_deref().and_then(read_token),
        };
        Self::at(config.server.admin_listen, token, token_file)
    }

    /// The API at an address, opened by a token.
    pub fn at(listen: SocketAddr, token: Option<SecretString>, token_file: Option<PathBuf>) -> Result<Self, Failure> {
        let http = crate::scim::plain_http(TIMEOUT).map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Self { http, base_url: format!("http://{}", reachable(listen)), token, token_file })
    }

    /// Sets a timeout, for requests that take long.
    pub fn patient(mut self, timeout: Duration) -> Result<Self, Failure> {
        self.http = crate::scim::plain_http(timeout).map_err(|error| Failure::failed(error.to_string()))?;
        Ok(self)
    }

    /// Sends requests to this URL instead, such as that of a proxy, with the same token.
    #[must_use]
    pub fn instead_at(mut self, url: &url::Url) -> Self {
        url.as_str().trim_end_matches('/').clone_into(&mut self.base_url);
        self
    }

    /// Whether a token is known; the error says where it should be.
    pub fn has_token(&self) -> Result<(), Failure> {
        self.token.as_ref().map(|_| ()).ok_or_else(|| self.no_token())
    }

    /// For a path segment or a query value.
    #[must_use]
    pub fn escaped(text: &str) -> String {
        form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    }

    /// GET.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// GET of what may not be there.
    pub async fn get_if_there<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let (status, bytes) = self.exchange(Method::GET, path, None).await?;
        if status == StatusCode::NOT_FOUND { Ok(None) } else { self.read(status, &bytes).map(Some) }
    }

    /// GET of a person; several may match.
    pub async fn get_unless_several<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let (status, bytes) = self.exchange(Method::GET, path, None).await?;
        if status == StatusCode::CONFLICT { Ok(None) } else { self.read(status, &bytes).map(Some) }
    }

    /// POST without a body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::POST, path, None).await
    }

    /// POST of some JSON.
    pub async fn post_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::failed(error.to_string()))?;
        self.ask(Method::POST, path, Some(body)).await
    }

    /// PUT of some JSON.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::failed(error.to_string()))?;
        self.ask(Method::PUT, path, Some(body)).await
    }

    /// DELETE.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::DELETE, path, None).await
    }

    /// POST of a file.
    pub async fn post_bytes<T: DeserializeOwned>(&self, path: &str, bytes: Vec<u8>) -> Result<T, Failure> {
        self.ask(Method::POST, path, Some(bytes)).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<T, Failure> {
        let (status, bytes) = self.exchange(method, path, body).await?;
        self.read(status, &bytes)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let Some(token) = &self.token else { return Err(self.no_token()) };
        let mut request =
            self.http.request(method, format!("{}{path}", self.base_url)).bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let unreachable = |error: reqwest::Error| {
            let (why, action) = if error.is_timeout() && !error.is_connect() {
                ("does not answer in time", UNANSWERED)
            } else {
                ("cannot be reached", UNREACHED)
            };
            Failure::advise(format!("the admin API at {} {why}", self.base_url), action)
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        Ok((status, response.bytes().await.map_err(unreachable)?))
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, bytes: &[u8]) -> Result<T, Failure> {
        if status.is_success() {
            return serde_json::from_slice(bytes).map_err(|_| {
                Failure::advise(
                    format!("{} does not answer as scim-bridge does", self.base_url),
                    "Check `[server] admin_listen`: is another program there, or another version?",
                )
            });
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(self.wrong_token());
        }
        let told: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |key: &str| told.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let what = text("detail").unwrap_or_else(|| format!("the admin API answered {status}"));
        Err(Failure::advise(what, text("action").unwrap_or_default()))
    }

    /// The process refuses the token: its own advice is for those who make the request themselves.
    fn wrong_token(&self) -> Failure {
        let own = self.token_file.as_ref().map(|file| format!(" Without one, it keeps a token in {}.", file.display()));
        let action = format!(
            "Run this with the configuration of that process (--config, and the same environment): its `[server] admin_token` is another one.{}",
            own.unwrap_or_default()
        );
        Failure::advise(format!("the process at {} does not accept this admin token", self.base_url), action)
    }

    fn no_token(&self) -> Failure {
        let is_gone = |file: &PathBuf| {
            let seen = std::fs::metadata(file);
            // If the folder is missing, too, nothing has been served here yet.
            let has_folder = file.parent().is_some_and(std::path::Path::is_dir);
            has_folder && seen.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        let action = match &self.token_file {
            Some(file) if is_gone(file) => format!(
                "The file {} is gone. A running `serve` writes it again within seconds; if none runs, start one, or set `[server] admin_token`.",
                file.display()
            ),
            Some(file) => format!(
                "Run this as the user who runs `serve` (it keeps a token in {}), or set `[server] admin_token`.",
                file.display()
            ),
            None => "Set `[server] admin_token`, the same as for the running process.".to_owned(),
        };
        Failure::advise("no admin token is known here", action)
    }
}

/// Where `serve` keeps the admin token that it made.
#[must_use]
pub fn token_file(store: &StoreUrl) -> Option<PathBuf> {
    match store {
        StoreUrl::Embedded { dir } => Some(dir.join(TOKEN_FILE)),
        // The processes of a cluster have no directory in common.
        StoreUrl::Redis(_) => None,
    }
}

fn read_token(path: &Path) -> Option<SecretString> {
    let token = std::fs::read_to_string(path).ok()?;
    Some(SecretString::from(token.trim_end().to_owned()))
}

/// An address that listens on every interface is reached over loopback.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_interface_is_called_over_loopback() {
        let reached = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(reached("[::]:9090"), "[::1]:9090");
        assert_eq!(reached("10.0.0.7:9090"), "10.0.0.7:9090");
    }

    #[test]
    fn any_id_stays_one_value() {
        assert_eq!(Api::escaped("a/b \"c\"+&"), "a%2Fb%20%22c%22%2B%26");
    }
}
