//! What spreadsheets do to cells: a mark around text that looks like a number can be taken off; an id that was rounded, or a
//! formula that failed, cannot be repaired, and must never be taken for a value.

use crate::core::person::Problem;
use crate::core::person::text::stripped;

const FORMULA: &str = "a formula of a spreadsheet instead of its value: export the file with values";
const FAILED: &str = "an error of a spreadsheet (`#N/A`, `#REF!`, `####`): correct the cell, and export the file again";
const APOSTROPHE: &str = "begins with an apostrophe, with which spreadsheets mark text: remove it";
const ROUNDED: &str = "a number that a spreadsheet has rounded (1.2E+05): export the file again from the HR system, and do not open and save it in a spreadsheet";
const REFORMATTED: &str =
    "a whole number that was written with a fraction or separators (1001.0, 1,001): export the column as text";

/// The cell without the mark that keeps a spreadsheet from taking it for a number: `="00002"` is 00002.
pub(super) fn unmarked(cell: &str) -> &str {
    let marked = cell.trim().strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    marked.filter(|inner| !inner.contains('"')).unwrap_or(cell)
}

/// What is wrong with a cell that cannot be a value.
pub(super) fn problem_of(cell: &str) -> Option<Problem> {
    let cell = stripped(cell);
    let is_failed = cell.strip_prefix('#').is_some_and(|rest| {
        let is_word =
            ["N/A", "REF!", "VALUE!", "NAME?", "DIV/0!", "NUM!", "NULL!", "SPILL!", "CALC!", "ERROR!"].contains(&rest);
        // A number that did not fit into its column.
        is_word || (rest.len() > 1 && rest.bytes().all(|byte| byte == b'#'))
    });
    let what = if is_failed {
        FAILED
    } else if cell.len() > 1 && cell.starts_with('=') {
        FORMULA
    } else {
        return None;
    };
    Some(Problem::Spreadsheet { what })
}

/// What is wrong with an id that is not as HR has it.
pub(super) fn problem_of_id(id: &str) -> Option<Problem> {
    let id = stripped(id);
    let what = if id.starts_with('\'') {
        APOSTROPHE
    } else if is_rounded(id) {
        ROUNDED
    } else if is_reformatted(id) {
        REFORMATTED
    } else {
        return problem_of(id);
    };
    Some(Problem::Spreadsheet { what })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1E+05`, `1.23457E+11`. Without the plus it may be somebody's id.
fn is_rounded(id: &str) -> bool {
    let Some((mantissa, exponent)) = id.split_once(['E', 'e']) else { return false };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    let has_exponent = exponent.strip_prefix('+').is_some_and(|digits| digits.len() > 1 && is_number(digits));
    has_exponent && whole.len() == 1 && is_number(whole) && is_number(fraction)
}

/// `1001.0`, `1001,00`, `1,001`.
fn is_reformatted(id: &str) -> bool {
    let is_zeros = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte == b'0');
    let has_fraction = id
        .split_once(['.', ','])
        .is_some_and(|(whole, fraction)| is_number(whole) && is_zeros(fraction) && fraction.len() < 3);
    let mut groups = id.split(',');
    let begins = groups.next().is_some_and(|first| first.len() <= 3 && is_number(first));
    let (mut rest, is_one) = (groups.clone(), groups.next().is_none());
    has_fraction || (begins && !is_one && rest.all(|group| group.len() == 3 && is_number(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_around_text_is_taken_off() {
        for (cell, meant) in [
            ("=\"00002\"", "00002"),
            (" =\"E-1\" ", "E-1"),
            ("=\"\"", ""),
            ("00002", "00002"),
            ("=\"a\"&\"b\"", "=\"a\"&\"b\""),
            ("\"00002\"", "\"00002\""),
        ] {
            assert_eq!(unmarked(cell), meant, "{cell}");
        }
    }

    #[test]
    fn a_spoilt_id_is_distinguished_from_an_unusual_one() {
        for spoilt in [
            "'1",
            "1E+05",
            "1.23457E+11",
            "1,2e+05",
            "1.0",
            "1001.00",
            "1001,0",
            "1,001",
            "12,345,678",
            " 1.0 ",
            "=A2",
            "#N/A",
            "#REF!",
            "####",
            "='1'!A2",
        ] {
            assert!(problem_of_id(spoilt).is_some(), "{spoilt}");
        }
        for unusual in [
            "00003", "1E5", "5E-05", "E+05", "12E+05", "1.1", "10.20", "1.000", "v1.0", "1,2", "1234,567", "#12", "#",
            "=", "O'Brien", "1,", "", "2-Jan",
        ] {
            assert_eq!(problem_of_id(unusual), None, "{unusual}");
        }
        assert!(problem_of("King").is_none() && problem_of("1.0").is_none() && problem_of("#NAME?").is_some());
    }
}
