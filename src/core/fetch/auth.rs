//! How a request to an HR system authenticates.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::credential::Credential;
use super::template::{Slot, Template, as_it_is};

/// One kind of login.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// No login.
    None,
    /// `Authorization: Bearer TOKEN`, and perhaps more headers.
    Bearer {
        /// More headers.
        #[serde(default)]
        headers: BTreeMap<String, Template>,
    },
    /// Headers of its own.
    Header {
        /// Name and value of each.
        headers: BTreeMap<String, Template>,
    },
    /// HTTP Basic (RFC 7617).
    Basic {
        /// The user.
        username: Template,
        /// The password.
        password: Template,
        /// More headers.
        #[serde(default)]
        headers: BTreeMap<String, Template>,
    },
    /// OAuth 2 client credentials (RFC 6749 §4.4): a token is fetched if there is none.
    ClientCredentials(TokenRules),
    /// An OAuth 2 grant that is renewed with its refresh token (RFC 6749 §6), which may change each time.
    RefreshToken(TokenRules),
}

/// How to request a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRules {
    /// The whole address.
    pub token_url: Template,
    /// `scope`, if the system wants one.
    #[serde(default)]
    pub scope: Option<String>,
    /// How the client authenticates.
    #[serde(default)]
    pub client: ClientIn,
    /// The word before the token in `Authorization`.
    #[serde(default = "bearer")]
    pub prefix: String,
}

fn bearer() -> String {
    "Bearer".to_owned()
}

/// Where `client_id` and `client_secret` stand (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientIn {
    /// In the body.
    #[default]
    Body,
    /// In `Authorization: Basic`.
    Basic,
}

impl Auth {
    /// Which parts of a login it needs.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<Credential> {
        let mut needs = BTreeSet::new();
        match self {
            Self::None => {}
            Self::Bearer { headers } => {
                needs.insert(Credential::Token);
                needs.extend(headers.values().flat_map(credentials));
            }
            Self::Header { headers } => needs.extend(headers.values().flat_map(credentials)),
            Self::Basic { username, password, headers } => {
                needs.extend([username, password].into_iter().chain(headers.values()).flat_map(credentials));
            }
            Self::ClientCredentials(_) => needs.extend([Credential::ClientId, Credential::ClientSecret]),
            // A public client has no secret (RFC 6749 §2.1).
            Self::RefreshToken(_) => needs.extend([Credential::ClientId, Credential::RefreshToken]),
        }
        needs
    }

    /// Which of the source's own values its headers use.
    pub(super) fn value_names(&self) -> BTreeSet<&str> {
        let templates = self.templates().into_iter().filter(|_| self.token_rules().is_none());
        templates.flat_map(Template::slots).filter_map(Slot::value_name).collect()
    }

    /// Its templates.
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::None => Vec::new(),
            Self::Bearer { headers } | Self::Header { headers } => headers.values().collect(),
            Self::Basic { username, password, headers } => {
                [username, password].into_iter().chain(headers.values()).collect()
            }
            Self::ClientCredentials(token) | Self::RefreshToken(token) => vec![&token.token_url],
        }
    }

    /// How to get its tokens, if it needs them.
    #[must_use]
    pub fn token_rules(&self) -> Option<&TokenRules> {
        match self {
            Self::ClientCredentials(token) | Self::RefreshToken(token) => Some(token),
            Self::None | Self::Bearer { .. } | Self::Header { .. } | Self::Basic { .. } => None,
        }
    }

    /// The headers that authenticate; `access_token` if it uses tokens. None if something is missing.
    #[must_use]
    pub fn headers(
        &self,
        values: &BTreeMap<String, String>,
        credential: &dyn Fn(Credential) -> Option<String>,
        access_token: Option<&str>,
    ) -> Option<Vec<(String, String)>> {
        let value_of = |slot: &Slot| match slot {
            Slot::Value(name) => values.get(name).cloned(),
            Slot::Credential(name) => credential(*name),
            Slot::Id | Slot::Since | Slot::Cursor => None,
        };
        let fill = |headers: &BTreeMap<String, Template>| -> Option<Vec<(String, String)>> {
            headers.iter().map(|(name, value)| Some((name.clone(), value.fill(&value_of, as_it_is)?))).collect()
        };
        Some(match self {
            Self::None => Vec::new(),
            Self::Bearer { headers } => {
                let mut all = fill(headers)?;
                all.push(authorization(format!("Bearer {}", credential(Credential::Token)?)));
                all
            }
            Self::Header { headers } => fill(headers)?,
            Self::Basic { username, password, headers } => {
                let mut all = fill(headers)?;
                let (username, password) = (username.fill(&value_of, as_it_is)?, password.fill(&value_of, as_it_is)?);
                all.push(authorization(basic(&username, &password)));
                all
            }
            Self::ClientCredentials(token) | Self::RefreshToken(token) => {
                vec![authorization(format!("{} {}", token.prefix, access_token?))]
            }
        })
    }
}

fn credentials(template: &Template) -> impl Iterator<Item = Credential> {
    template.slots().filter_map(|slot| match slot {
        Slot::Credential(credential) => Some(*credential),
        Slot::Id | Slot::Since | Slot::Cursor | Slot::Value(_) => None,
    })
}

fn authorization(value: String) -> (String, String) {
    ("authorization".to_owned(), value)
}

/// RFC 7617 §2.
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(format!("{username}:{password}").as_bytes()))
}
