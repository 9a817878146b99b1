//! Comma-separated values, for spreadsheets.

/// A line (RFC 4180), without its line break. Fields that a spreadsheet would take for a formula are marked as text.
#[must_use]
pub fn row(fields: &[&str]) -> String {
    fields.iter().map(|field| self::field(field)).collect::<Vec<_>>().join(",")
}

fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_takes_no_field_for_a_formula() {
        assert_eq!(row(&["=1+1", "a,\"b\"", "plain", ""]), "'=1+1,\"a,\"\"b\"\"\",plain,");
    }
}
