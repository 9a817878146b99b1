//! The signed parts, taken from one delivery.

use super::scheme::Scheme;
use super::template::Part;

/// The values of a template's parts in one delivery.
pub(super) struct Seen<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) body: &'a [u8],
    pub(super) timestamp: &'a [u8],
    pub(super) id: &'a [u8],
    /// The fields of the body that are signed, in order.
    pub(super) fields: &'a [Vec<u8>],
}

impl<'a> Seen<'a> {
    /// The bytes that are signed, in order.
    pub(super) fn parts(&self, scheme: &'a Scheme) -> Vec<&'a [u8]> {
        let mut parts = Vec::with_capacity(scheme.signed.parts().len() + 1);
        let mut fields = self.fields.iter();
        for part in scheme.signed.parts() {
            match part {
                Part::Literal(text) => parts.push(text.as_bytes()),
                Part::Body => parts.push(self.body),
                Part::Timestamp => parts.push(self.timestamp),
                Part::Id => parts.push(self.id),
                Part::Method => parts.push(self.method.as_bytes()),
                Part::Url => parts.extend([scheme.public_url.as_bytes(), self.url.as_bytes()]),
                Part::Json(_) => parts.push(fields.next().map(Vec::as_slice).unwrap_or_default()),
            }
        }
        parts
    }
}
