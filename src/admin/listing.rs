//! Ids, pages and path segments as somebody wrote them in a URL.

use crate::core::job::JobId;
use crate::store::Page;

use super::error::AdminError;

/// Rows of a page where nobody says how many.
const ROWS: usize = 50;
/// Rows of a page at the most: some 500 KB with full histories.
const ROWS_MAX: usize = 500;

/// A page as asked for.
pub(super) fn page(limit: Option<usize>, before: Option<&str>) -> Result<Page, AdminError> {
    let rows_max = limit.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&rows_max) {
        return Err(AdminError::BadRequest(format!("limit: 1 to {ROWS_MAX}")));
    }
    // A form's empty field is none.
    let before = before.filter(|text| !text.is_empty()).map(id).transpose()?;
    Ok(Page { rows_max, before })
}

/// Where the next page begins; none where this one was not full.
pub(super) fn next<T>(page: &Page, rows: &[T], id: impl Fn(&T) -> JobId) -> Option<JobId> {
    (rows.len() >= page.rows_max).then(|| rows.last().map(id)).flatten()
}

/// An id.
pub(super) fn id(text: &str) -> Result<JobId, AdminError> {
    JobId::parse(text).ok_or_else(|| AdminError::BadRequest("an id is 32 hex digits".to_owned()))
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
    fn what_is_encoded_comes_back() {
        for text in ["a/b\"c'd%25 +&é", "..", ""] {
            assert_eq!(percent_decoded(&percent_encoded(text)).unwrap(), text);
        }
    }

    #[test]
    fn a_page_has_bounds_and_a_next_only_where_it_is_full() {
        assert!(page(Some(0), None).is_err());
        assert!(page(Some(501), None).is_err());
        assert!(page(None, Some("xyz")).is_err());
        let two = page(Some(2), Some("")).unwrap();
        assert_eq!(next(&two, &[1_u128, 2], |n| JobId(*n)), Some(JobId(2)));
        assert_eq!(next(&two, &[1_u128], |n| JobId(*n)), None);
    }
}
