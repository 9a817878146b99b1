//! Pages of listings: bounded in rows and in bytes, and their cursors.

use super::{DeadRow, Listed, Page, PersonRow, StoreError};
use crate::core::time::UnixMs;

/// Bytes of all rows of a page together; a single row may be larger.
pub const PAGE_BYTES_MAX: usize = 1 << 20;
/// How many inbox entries of a person are shown.
pub const INBOX_SHOWN_MAX: usize = 200;

/// A row of a listing.
#[derive(Debug)]
pub(super) struct Row<T> {
    /// The position after this row: `after` of the next page, if this is the last row of its page.
    pub(super) cursor: String,
    /// Its size in bytes.
    pub(super) bytes: usize,
    /// What is shown.
    pub(super) shown: T,
}

/// A page of the first rows that fit. Callers yield one more row than fits if there is one: only then does the page
/// know that it is not the last.
pub(super) fn page<T>(
    page: &Page,
    rows: impl IntoIterator<Item = Result<Row<T>, StoreError>>,
) -> Result<Listed<T>, StoreError> {
    let (mut listed, mut bytes, mut last) = (Vec::new(), 0_usize, None);
    for row in rows {
        let row = row?;
        bytes = bytes.saturating_add(row.bytes);
        // At least one row: otherwise a listing would never get past a row that is larger than a page.
        if !listed.is_empty() && (listed.len() >= page.rows_max || bytes > PAGE_BYTES_MAX) {
            return Ok(Listed { rows: listed, next: last });
        }
        last = Some(row.cursor);
        listed.push(row.shown);
    }
    Ok(Listed { rows: listed, next: None })
}

impl PersonRow {
    /// Its size on a page.
    pub(super) fn bytes(&self) -> usize {
        let document = self.document.as_ref().map_or(0, bytes::Bytes::len);
        document + self.inbox.iter().map(|entry| entry.bytes.len()).sum::<usize>()
    }
}

impl DeadRow {
    /// About its size on a page.
    pub(super) fn bytes(&self) -> usize {
        self.detail.len() + self.person.as_ref().map_or(0, |person| person.employee_id.len())
    }
}

/// The cursor of a row that is ordered by an instant, and then by `then`.
pub(super) fn cursor(at: UnixMs, then: impl std::fmt::Display) -> String {
    format!("{}:{then}", at.0)
}

/// Reads what [`cursor`] wrote.
pub(super) fn read_cursor<T>(text: &str, then: impl Fn(&str) -> Option<T>) -> Option<(UnixMs, T)> {
    let (at, rest) = text.split_once(':')?;
    Some((UnixMs(at.parse().ok()?), then(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[usize]) -> Vec<Result<Row<usize>, StoreError>> {
        bytes.iter().enumerate().map(|(n, bytes)| Ok(Row { cursor: n.to_string(), bytes: *bytes, shown: n })).collect()
    }

    fn first(rows_max: usize, bytes: &[usize]) -> (Vec<usize>, Option<String>) {
        let listed = page(&Page { rows_max, after: None }, rows(bytes)).unwrap();
        (listed.rows, listed.next)
    }

    #[test]
    fn a_page_ends_at_its_rows_and_at_its_bytes() {
        assert_eq!(first(2, &[1, 1, 1]), (vec![0, 1], Some("1".to_owned())));
        assert_eq!(first(3, &[1, 1, 1]), (vec![0, 1, 2], None));
        assert_eq!(first(9, &[PAGE_BYTES_MAX, 1]), (vec![0], Some("0".to_owned())));
    }

    #[test]
    fn a_row_larger_than_a_page_is_shown_alone() {
        assert_eq!(first(9, &[PAGE_BYTES_MAX + 1, 1]), (vec![0], Some("0".to_owned())));
        assert_eq!(first(0, &[1, 1]), (vec![0], Some("0".to_owned())));
    }

    #[test]
    fn a_cursor_reads_back() {
        let text = cursor(UnixMs(-5), "a:b");
        assert_eq!(read_cursor(&text, |then| Some(then.to_owned())), Some((UnixMs(-5), "a:b".to_owned())));
        assert_eq!(read_cursor("x", |then| Some(then.to_owned())), None);
    }
}
