//! Employees, and the credentials of clients.

/// An employee.
#[derive(Clone, PartialEq, Eq)]
pub struct HrPerson {
    /// The employee id.
    pub id: String,
    /// The work address; none: not assigned yet.
    pub email: Option<String>,
    /// The private address, which the bridge must not use.
    pub private_email: String,
    /// The given name.
    pub given_name: String,
    /// The family name.
    pub family_name: String,
    /// The preferred name.
    pub preferred_name: Option<String>,
    /// Whether they are employed.
    pub status: HrStatus,
    /// The last day of work, if known: `2026-11-30`.
    pub last_day: Option<String>,
}

/// Whether a person is employed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HrStatus {
    /// Employed.
    Working,
    /// No longer employed.
    Gone,
}

impl HrPerson {
    /// An employed person.
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

    /// This person after their last day.
    #[must_use]
    pub fn gone(self, last_day: &str) -> Self {
        Self { status: HrStatus::Gone, last_day: Some(last_day.to_owned()), ..self }
    }
}

/// The credentials of clients. Each system checks those that it documents.
#[derive(Clone, PartialEq, Eq)]
pub struct HrLogin {
    /// An API key.
    pub token: String,
    /// A service user.
    pub username: String,
    /// The service user's password.
    pub password: String,
    /// An OAuth client.
    pub client_id: String,
    /// The OAuth client's secret.
    pub client_secret: String,
    /// The refresh token that is currently valid; each use replaces it.
    pub refresh_token: String,
}
