//! A request to an HR system's API, without its credentials.

use std::fmt;

use serde::Deserialize;

/// The methods that reading needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `POST`: several systems use it for reading.
    Post,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One request.
#[derive(Clone, PartialEq, Eq)]
pub struct HrRequest {
    /// The method.
    pub method: Method,
    /// The whole address, encoded.
    pub url: String,
    /// The headers, by name.
    pub headers: Vec<(String, String)>,
    /// The body with its media type.
    pub body: Option<(&'static str, String)>,
    /// It is for a page of a list, which may be longer and take longer.
    pub is_list: bool,
}

impl fmt::Debug for HrRequest {
    /// Personal data and secrets stay out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HrRequest").field("method", &self.method).finish_non_exhaustive()
    }
}
