//! Access: the operators' tokens, each with a name and a role, and the console sessions that they open.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access;
use crate::clock;
use crate::core::time::UnixMs;
use crate::secret::LiveSecret;

/// What the bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRole {
    /// It may read and change everything.
    Full,
    /// Read only.
    ReadOnly,
}

/// One token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its name, which appears in the audit log: letters, digits, `-` and `_`.
    pub name: String,
    /// What its bearer may do.
    pub role: TokenRole,
    /// Its value.
    pub secret: LiveSecret,
}

/// Who makes a request, by the token that they presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The token's name.
    pub name: String,
    /// What they may do.
    pub role: TokenRole,
}

impl Actor {
    /// For records that are replayed because the mapping was corrected.
    pub(super) fn mapping() -> Self {
        Self { name: "mapping".to_owned(), role: TokenRole::Full }
    }

    /// Whether they may change anything.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.role == TokenRole::Full
    }
}

/// All tokens; clones share them.
#[derive(Debug, Clone)]
pub struct Tokens(Arc<Vec<Token>>);

impl Tokens {
    /// Creates the list.
    #[must_use]
    pub fn new(tokens: Vec<Token>) -> Self {
        Self(Arc::new(tokens))
    }

    /// Only `[server] admin_token`: its name is `admin`, its role full.
    #[must_use]
    pub fn admin(secret: LiveSecret) -> Self {
        Self::new(vec![Token { name: "admin".to_owned(), role: TokenRole::Full, secret }])
    }

    /// Whose token this is. It is compared with all of them, so that the time taken reveals nothing.
    pub(super) fn bearer(&self, given: &str) -> Option<Actor> {
        let mut found = None;
        for token in self.0.iter() {
            if access::is_token(&token.secret, given) && found.is_none() {
                found = Some(token);
            }
        }
        found.map(Token::actor)
    }

    /// Opens a session for this actor; the value of its cookie: `{name}~{until}-{number}.{signature}`.
    pub(super) fn open_session(&self, actor: &Actor, now: UnixMs) -> Option<String> {
        let token = self.named(&actor.name)?;
        Some(format!("{}~{}", token.name, access::open_session(&token.secret, now, &clock::new_name())))
    }

    /// Whose session a cookie belongs to, and the token that its forms must carry.
    pub(super) fn session(&self, now: UnixMs, cookie: &str) -> Option<(Actor, String)> {
        let (name, session) = cookie.split_once('~')?;
        let token = self.named(name)?;
        access::session_until(&token.secret, now, session)
            .map(|_| (token.actor(), access::form_token(&token.secret, session)))
    }

    fn named(&self, name: &str) -> Option<&Token> {
        self.0.iter().find(|token| token.name == name)
    }
}

impl Token {
    fn actor(&self) -> Actor {
        Actor { name: self.name.clone(), role: self.role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let token = |name: &str, role, secret: &str| Token {
            name: name.to_owned(),
            role,
            secret: LiveSecret::new(secret.to_owned().into()),
        };
        Tokens::new(vec![token("ops", TokenRole::Full, "one"), token("looker", TokenRole::ReadOnly, "two")])
    }

    #[test]
    fn a_token_has_a_name_and_may_do_what_its_role_allows() {
        let tokens = tokens();
        assert!(tokens.bearer("one").unwrap().may_write());
        let looker = tokens.bearer("two").unwrap();
        assert_eq!((looker.name.as_str(), looker.may_write()), ("looker", false));
        assert_eq!(tokens.bearer("three"), None);
    }

    #[test]
    fn a_session_belongs_to_the_token_that_opened_it() {
        let tokens = tokens();
        let now = UnixMs(1_000);
        let cookie = tokens.open_session(&tokens.bearer("two").unwrap(), now).unwrap();
        assert_eq!(tokens.session(now, &cookie).unwrap().0.name, "looker");
        let forged = cookie.replacen("looker", "ops", 1);
        assert_eq!(tokens.session(now, &forged), None);
        assert_eq!(tokens.session(now.plus_ms(access::SESSION_MS), &cookie), None);
    }
}
