//! The rows of a file: CSV with a header, a JSON array of objects, or an object a line.

use std::collections::BTreeMap;

use serde_json::Value;

/// Rows that are taken at the most.
pub(super) const ROWS_MAX: usize = 200_000;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1, the header not counted.
    pub number: u64,
    values: BTreeMap<String, String>,
}

impl Row {
    /// The value of a column; none where there is no such column, or the value is null.
    #[must_use]
    pub fn value(&self, column: &str) -> Option<&str> {
        self.values.get(column).map(String::as_str)
    }
}

/// Why a file cannot be read as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// It is not text in UTF-8.
    #[error("the file is not UTF-8 (byte {at} is the first that is not): export it as UTF-8")]
    NotUtf8 {
        /// The place of the first bad byte.
        at: usize,
    },
    /// It has no rows.
    #[error("the file has no rows")]
    Empty,
    /// It has too many.
    #[error("the file has more than {ROWS_MAX} rows")]
    TooLong,
    /// No column has the ids.
    #[error("no column is called {}: the columns are {}", expected.join(" or "), found.join(", "))]
    NoIdColumn {
        /// What it may be called.
        expected: Vec<String>,
        /// What the columns are called.
        found: Vec<String>,
    },
    /// It is neither of the forms.
    #[error("row {row}: {problem}")]
    Malformed {
        /// The row.
        row: u64,
        /// What is wrong with it; no values.
        problem: String,
    },
}

/// A row, or the number of one that cannot be read and what is wrong with it.
pub(super) type ReadRow = Result<Row, (u64, String)>;

/// Reads the rows of a file; `id_columns` are the names that the column of the ids may have. A row that
/// cannot be read is an error of its own, and the others go on.
///
/// # Errors
/// Why the file as a whole cannot be read.
pub fn read(bytes: &[u8], id_columns: &[String]) -> Result<Vec<ReadRow>, FileProblem> {
    let text = std::str::from_utf8(bytes).map_err(|error| FileProblem::NotUtf8 { at: error.valid_up_to() })?;
    let text = text.trim_start_matches('\u{feff}');
    let rows = match text.trim_start().as_bytes().first() {
        None => return Err(FileProblem::Empty),
        Some(b'[') => json_rows(text)?,
        Some(b'{') => ndjson_rows(text),
        Some(_) => csv_rows(text, id_columns)?,
    };
    match rows.len() {
        0 => Err(FileProblem::Empty),
        n if n > ROWS_MAX => Err(FileProblem::TooLong),
        _ => Ok(rows),
    }
}

fn csv_rows(text: &str, id_columns: &[String]) -> Result<Vec<ReadRow>, FileProblem> {
    let delimiter = delimiter_of(text);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let malformed = |row, error: &csv::Error| FileProblem::Malformed { row, problem: shape_of(error) };
    let headers: Vec<String> =
        reader.headers().map_err(|error| malformed(0, &error))?.iter().map(str::to_owned).collect();
    if !headers.iter().any(|header| id_columns.contains(header)) {
        return Err(FileProblem::NoIdColumn { expected: id_columns.to_vec(), found: headers });
    }
    let rows = (1_u64..).zip(reader.into_records().take(ROWS_MAX + 1)).map(|(number, record)| {
        let record = record.map_err(|error| (number, shape_of(&error)))?;
        let values = headers.iter().zip(record.iter()).map(|(column, value)| (column.clone(), value.to_owned()));
        Ok(Row { number, values: values.collect() })
    });
    Ok(rows.collect())
}

/// A header with more semicolons or tabs than commas is separated by them, as spreadsheets do in places.
fn delimiter_of(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: char| header.matches(delimiter).count();
    [(b';', count(';')), (b'\t', count('\t'))]
        .into_iter()
        .filter(|(_, n)| *n > count(','))
        .max_by_key(|(_, n)| *n)
        .map_or(b',', |(delimiter, _)| delimiter)
}

/// What is wrong with a row, without its values.
fn shape_of(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns, and the header has {expected_len}")
        }
        _ => "no CSV".to_owned(),
    }
}

fn json_rows(text: &str) -> Result<Vec<ReadRow>, FileProblem> {
    let rows: Vec<Value> = serde_json::from_str(text).map_err(|error| FileProblem::Malformed {
        row: 0,
        problem: format!("no JSON array of objects (line {}, column {})", error.line(), error.column()),
    })?;
    Ok((1_u64..).zip(rows).map(|(number, row)| object_row(number, row)).collect())
}

fn ndjson_rows(text: &str) -> Vec<ReadRow> {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(ROWS_MAX + 1);
    (1_u64..)
        .zip(lines)
        .map(|(number, line)| {
            let row = serde_json::from_str(line).map_err(|_| (number, "no JSON object".to_owned()))?;
            object_row(number, row)
        })
        .collect()
}

/// Numbers as they are written; null says nothing; objects and arrays are no values.
fn object_row(number: u64, row: Value) -> ReadRow {
    let Value::Object(members) = row else { return Err((number, "expected an object".to_owned())) };
    let values = members.into_iter().filter_map(|(column, value)| match value {
        Value::String(text) => Some((column, text)),
        Value::Number(number) => Some((column, number.to_string())),
        Value::Bool(is) => Some((column, is.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    });
    Ok(Row { number, values: values.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Vec<String> {
        vec!["employee_id".to_owned()]
    }

    fn good(text: &str) -> Vec<Row> {
        read(text.as_bytes(), &ids()).unwrap().into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn csv_json_and_lines_of_json_say_the_same() {
        let csv = good("employee_id,email\nE-1,ada@example.com\nE-2,\"b, ob@example.com\"\n");
        let json = good(
            r#"[{"employee_id":"E-1","email":"ada@example.com"},{"employee_id":"E-2","email":"b, ob@example.com"}]"#,
        );
        let lines = good(
            "{\"employee_id\":\"E-1\",\"email\":\"ada@example.com\"}\n{\"employee_id\":\"E-2\",\"email\":\"b, ob@example.com\"}\n",
        );
        assert_eq!(csv, json);
        assert_eq!(csv, lines);
        assert_eq!(csv[1].number, 2);
    }

    #[test]
    fn a_byte_order_mark_and_semicolons_are_what_spreadsheets_write() {
        assert_eq!(
            good("\u{feff}employee_id;email\r\nE-1;ada@example.com\r\n")[0].value("email"),
            Some("ada@example.com")
        );
    }

    #[test]
    fn one_bad_row_is_told_by_its_number_and_the_others_go_on() {
        let rows = read(b"employee_id,email\nE-1\nE-2,b@example.com\n", &ids()).unwrap();
        assert_eq!(rows[0], Err((1, "1 columns, and the header has 2".to_owned())));
        assert!(rows[1].is_ok());
    }

    #[test]
    fn what_cannot_be_read_as_a_whole_says_why() {
        assert_eq!(
            read(b"id,email\nE-1,a@b.c\n", &ids()).unwrap_err().to_string(),
            "no column is called employee_id: the columns are id, email"
        );
        assert_eq!(read(b"employee_id\nJos\xe9\n", &ids()), Err(FileProblem::NotUtf8 { at: 15 }));
        assert_eq!(read(b"  ", &ids()), Err(FileProblem::Empty));
        assert_eq!(read(b"employee_id\n", &ids()), Err(FileProblem::Empty));
    }
}
