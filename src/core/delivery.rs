//! One HTTP POST from a source, and the mark that its sender is proven.

use bytes::Bytes;

/// A delivery as received: nothing is parsed, nothing is believed.
#[derive(Clone)]
pub struct Delivery {
    /// The HTTP method, upper-case.
    pub method: String,
    /// The URL the sender posted to, as the scheme signs it (path and query, or the whole).
    pub url: String,
    /// Header names in lower case with their raw values, in order of arrival; a name may recur.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The raw body.
    pub body: Bytes,
}

impl Delivery {
    /// The value of `Content-Type`, where it is text.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "content-type")?;
        std::str::from_utf8(value).ok()
    }
}

/// Something whose sender is proven. Only [`super::signature`] can make one.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Attests that the sender of `value` is proven.
    pub(super) fn attest(value: T) -> Self {
        Self(value)
    }

    /// What is proven.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// What is proven, to keep.
    pub fn into_inner(self) -> T {
        self.0
    }
}
