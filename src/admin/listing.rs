//! Ids, pages and path segments as written in a URL.

use crate::core::person::job::JobId;
use crate::store::{Page, StoreError};

use super::error::AdminError;

/// Rows of a page by default.
const ROWS: usize = 50;
/// Rows of a page at most.
const ROWS_MAX: usize = 500;
/// Longest cursor: an engine's own, opaque here.
const CURSOR_BYTES_MAX: usize = 2_048;

/// A page as asked for.
pub(super) fn page(limit: Option<usize>, after: Option<&str>) -> Result<Page, AdminError> {
    let rows_max = limit.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&rows_max) {
        return Err(AdminError::BadRequest(format!("limit: 1 to {ROWS_MAX}")));
    }
    // A form's empty field is none.
    let after = after.filter(|text| !text.is_empty());
    if after.is_some_and(|text| text.len() > CURSOR_BYTES_MAX || text.chars().any(char::is_control)) {
        return Err(StoreError::Cursor.into());
    }
    Ok(Page { rows_max, after: after.map(str::to_owned) })
}

/// An id.
pub(super) fn id(text: &str) -> Result<JobId, AdminError> {
    let advice = "Copy it from a list: `scim-bridge dead list`, `scim-bridge jobs`, or the console.";
    JobId::parse(text).ok_or_else(|| AdminError::advised("an id is 32 hex digits", advice))
}

/// A percent-encoded piece of a path (RFC 3986 §2.1), decoded once.
pub(super) fn percent_decoded(piece: &str) -> Result<String, AdminError> {
    let malformed = || AdminError::BadRequest("the path is not percent-encoded UTF-8".to_owned());
    let mut bytes = Vec::with_capacity(piece.len());
    let mut rest = piece.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (digits, after) = after.split_at_checked(2).ok_or_else(malformed)?;
            let byte = data_encoding::HEXLOWER_PERMISSIVE.decode(digits).map_err(|_| malformed())?;
            bytes.extend(byte);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

/// A piece of a path or query, percent-encoded so that it comes back as it is.
pub(super) fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_decoded_once() {
        assert_eq!(percent_decoded("a%2Fb%2525+%22%C3%A9").unwrap(), "a/b%25+\"é");
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert!(percent_decoded(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn encoding_round_trips() {
        for text in ["a/b\"c'd%25 +&é", "..", ""] {
            assert_eq!(percent_decoded(&percent_encoded(text)).unwrap(), text);
        }
    }

    #[test]
    fn a_page_has_bounds() {
        assert!(page(Some(0), None).is_err());
        assert!(page(Some(501), None).is_err());
        assert!(page(None, Some("a\u{0}b")).is_err());
        assert!(page(None, Some(&"x".repeat(3_000))).is_err());
        assert_eq!(page(Some(2), Some("")).unwrap().after, None);
        assert_eq!(page(None, Some("x")).unwrap().after.as_deref(), Some("x"));
    }
}
