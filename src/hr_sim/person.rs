//! Who works there, and who may ask.

/// A person.
#[derive(Clone, PartialEq, Eq)]
pub struct HrPerson {
    /// The employee id.
    pub id: String,
    /// The address at work; none: not yet.
    pub email: Option<String>,
    /// The private address, which the bridge must not use.
    pub private_email: String,
    /// The given name.
    pub given_name: String,
    /// The family name.
    pub family_name: String,
    /// What they want to be called.
    pub preferred_name: Option<String>,
    /// Whether they work there.
    pub status: HrStatus,
    /// The last day, if there is one: `2026-11-30`.
    pub last_day: Option<String>,
}

/// Whether a person works there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HrStatus {
    /// They do.
    Working,
    /// They did.
    Gone,
}

impl HrPerson {
    /// A person who works there.
    #[must_use]
    pub fn working(id: &str, email: &str, given_name: &str, family_name: &str) -> Self {
        Self {
            id: id.to_owned(),
            email: Some(email.to_owned()),
            private_email: format!("private-{id}@mail.example"),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            preferred_name: None,
            status: HrStatus::Working,
            last_day: None,
        }
    }

    /// The same person after their last day.
    #[must_use]
    pub fn gone(self, last_day: &str) -> Self {
        Self { status: HrStatus::Gone, last_day: Some(last_day.to_owned()), ..self }
    }
}

/// What a client shows. Each system takes what it documents.
#[derive(Clone, PartialEq, Eq)]
pub struct HrLogin {
    /// An API key.
    pub token: String,
    /// A service user.
    pub username: String,
    /// Their password.
    pub password: String,
    /// An OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The refresh token that is good now: another one after each use.
    pub refresh_token: String,
}
