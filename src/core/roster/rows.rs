//! The rows of a file: CSV with a header, JSON objects in an array (or in an object's only array), or
//! one object per line. They are read one by one: a file with many columns must not fill the memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::spreadsheet::unmarked;
use crate::core::json::Json;

/// The most rows that are accepted.
pub(super) const ROWS_MAX: u64 = 200_000;
/// How deep fields of JSON rows may be nested.
const DEPTH_MAX: usize = 8;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1, the header not counted.
    pub number: u64,
    cells: BTreeMap<String, Cell>,
}

/// A field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Text(String),
    /// Why it has no value: the JSON type that was found, or that the row has it twice.
    Other(&'static str),
}

impl Row {
    fn cell(&self, column: &str) -> Option<&Cell> {
        let ignoring_case = || self.cells.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
        self.cells.get(column).or_else(|| ignoring_case().map(|(_, cell)| cell))
    }

    /// The value of a column: a text, a whole number, or true or false. None if there is no such column, or the value
    /// is null.
    ///
    /// # Errors
    /// Why there is no such value: another type, or a column that occurs twice.
    pub fn value(&self, column: &str) -> Result<Option<&str>, &'static str> {
        match self.cell(column) {
            None => Ok(None),
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::Other(found)) => Err(found),
        }
    }

    /// The columns that have a value, or one that cannot be used. Objects are left out: their fields are columns of their
    /// own.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let objects = |cell: &Cell| *cell == Cell::Other("object");
        self.cells.iter().filter(move |(_, cell)| !objects(cell)).map(|(name, _)| name.as_str())
    }

    /// Whether it has this column.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.cell(column).is_some()
    }
}

/// Why a whole file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// It is a workbook of Excel, or another archive.
    #[error("the file is an Excel workbook or another archive, not text")]
    Archive,
    /// It is text in UTF-16.
    #[error("the file is text in UTF-16")]
    Utf16,
    /// It is not text in UTF-8.
    #[error("the file is not UTF-8 (byte {at} is the first that is not)")]
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
    #[error("no column is called {}: the columns are {}{}", expected.join(" or "), found.join(", "), hint(expected, found))]
    NoIdColumn {
        /// The accepted names.
        expected: Vec<String>,
        /// The columns' names.
        found: Vec<String>,
    },
    /// It has none of the accepted forms.
    #[error("{problem}: is the file complete?")]
    Malformed {
        /// What is wrong with it; no values.
        problem: String,
    },
}

impl FileProblem {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Archive => "Save it as \"CSV UTF-8\", and unpack it if it is compressed.",
            Self::Utf16 | Self::NotUtf8 { .. } => "Export it as UTF-8; Excel calls that \"CSV UTF-8\".",
            Self::Empty => {
                "Export it again: it needs a row for each person, and as CSV a first row with the names of the columns."
            }
            Self::TooLong => "Import it in parts, or only those who are still employed.",
            Self::NoIdColumn { .. } => {
                "Rename the column of the ids in the file, or set `[source.mapping] employee_id` to its present name. The first row must have the names of the columns."
            }
            Self::Malformed { .. } => "Export it again as CSV in UTF-8, and make sure that it is complete.",
        }
    }
}

/// The column that comes close to one of the names, so that nobody has to look for the one character that differs.
fn hint(expected: &[String], found: &[String]) -> String {
    let close = found.iter().find(|column| expected.iter().any(|name| is_close(name, column)));
    close.map(|column| format!(" (`{column}` comes close)")).unwrap_or_default()
}

/// Whether two names of columns differ in nothing but case, spaces, hyphens and the like.
#[must_use]
pub(super) fn is_close(one: &str, other: &str) -> bool {
    let letters =
        |name: &str| -> String { name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let one = letters(one);
    !one.is_empty() && one == letters(other)
}

/// A row, or the number of one that cannot be read and what is wrong with it.
pub(crate) type ReadRow = Result<Row, (u64, String)>;
/// The rows of a file, in order.
pub(super) type Rows<'t> = Box<dyn Iterator<Item = ReadRow> + Send + 't>;

/// The text of a file.
///
/// # Errors
/// It is an archive, or not UTF-8.
pub fn text_of(bytes: &[u8]) -> Result<&str, FileProblem> {
    // ZIP, the old workbooks of Excel, and gzip.
    if [&b"PK\x03\x04"[..], b"\xd0\xcf\x11\xe0", b"\x1f\x8b"].iter().any(|magic| bytes.starts_with(magic)) {
        return Err(FileProblem::Archive);
    }
    let has_mark = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if has_mark || bytes.iter().take(2).any(|byte| *byte == 0) {
        return Err(FileProblem::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| FileProblem::NotUtf8 { at: error.valid_up_to() })?;
    Ok(text.trim_start_matches('\u{feff}'))
}

/// Reads the rows of a file; `id_columns` are the names that the column of the ids may have. A row that
/// cannot be read is an error of its own, and the others are still read.
///
/// # Errors
/// Why the file as a whole cannot be read.
pub fn read<'t>(text: &'t str, id_columns: &[String]) -> Result<Rows<'t>, FileProblem> {
    let rows = || match text.trim_start().as_bytes().first() {
        None => Err(FileProblem::Empty),
        Some(b'[') => array(text),
        Some(b'{') => objects(text),
        Some(_) => csv_rows(text, id_columns),
    };
    // Counted first, so that a refused file changes nothing.
    let limit = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX).saturating_add(1);
    match rows()?.take(limit).count() {
        0 => Err(FileProblem::Empty),
        n if n == limit => Err(FileProblem::TooLong),
        _ => rows(),
    }
}

fn csv_rows<'t>(text: &'t str, id_columns: &[String]) -> Result<Rows<'t>, FileProblem> {
    let (delimiter, text) = separator_line(text).unwrap_or_else(|| (delimiter_of(text), text));
    let mut reader = reader_of(text, delimiter);
    let headers = reader.headers().map_err(|error| FileProblem::Malformed { problem: shape_of(&error) })?;
    let headers: Vec<String> = headers.iter().map(str::to_owned).collect();
    let is_id = |header: &String| id_columns.iter().any(|column| column.eq_ignore_ascii_case(header));
    if !headers.iter().any(is_id) {
        let expected = id_columns.iter().filter(|column| !column.starts_with('/')).cloned().collect();
        return Err(FileProblem::NoIdColumn { expected, found: headers });
    }
    // Names are compared without case, so which of two is meant cannot be known.
    let is_twice = |name: &String| headers.iter().filter(|other| other.eq_ignore_ascii_case(name)).count() > 1;
    let headers = headers.iter().map(|name| (name.clone(), is_twice(name))).collect();
    Ok(Box::new(CsvRows { reader, text, delimiter, headers, number: 0 }))
}

struct CsvRows<'t> {
    reader: csv::Reader<&'t [u8]>,
    text: &'t str,
    delimiter: u8,
    /// Names, and whether there is another column of that name.
    headers: Vec<(String, bool)>,
    number: u64,
}

impl CsvRows<'_> {
    /// What is left of the text.
    fn rest(&self) -> &str {
        let at = usize::try_from(self.reader.position().byte()).ok();
        at.and_then(|at| self.text.get(at..)).unwrap_or_default()
    }
}

impl Iterator for CsvRows<'_> {
    type Item = ReadRow;

    fn next(&mut self) -> Option<ReadRow> {
        loop {
            let (begins, mut record) = (self.reader.position().byte(), csv::StringRecord::new());
            let read = self.reader.read_record(&mut record);
            if matches!(read, Ok(false)) {
                return None;
            }
            self.number += 1;
            let number = self.number;
            let begins = usize::try_from(begins).unwrap_or_default();
            let is_last = self.rest().trim_start_matches(['\r', '\n']).is_empty();
            if is_last && ends_in_quotes(self.text.get(begins..).unwrap_or_default(), self.delimiter) {
                return Some(Err((
                    number,
                    "its quotes are not closed, so it contains the rest of the file".to_owned(),
                )));
            }
            if let Err(error) = read {
                return Some(Err((number, shape_of(&error))));
            }
            // Spreadsheets leave rows of nothing but delimiters at the end.
            if record.iter().all(|value| value.trim().is_empty()) {
                continue;
            }
            let cells = self.headers.iter().zip(record.iter()).map(|((column, is_twice), value)| {
                let text = || Cell::Text(unmarked(value).to_owned());
                (column.clone(), if *is_twice { Cell::Other("two columns of that name") } else { text() })
            });
            return Some(Ok(Row { number, cells: cells.collect() }));
        }
    }
}

fn reader_of(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::Headers).from_reader(text.as_bytes())
}

/// Whether the last record ends within quotes: then one more delimiter is part of its last field, and begins no other.
fn ends_in_quotes(record: &str, delimiter: u8) -> bool {
    let record = record.trim_matches(['\r', '\n']);
    let fields = |text: &str| {
        let reader = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(text.as_bytes());
        reader.into_records().next().and_then(Result::ok).map(|record| record.len())
    };
    record.contains('"') && fields(record) == fields(&format!("{record}{}", char::from(delimiter)))
}

/// The separator that a first line such as `sep=;` names, and what follows it: Excel reads and writes such a line.
fn separator_line(text: &str) -> Option<(u8, &str)> {
    let text = text.trim_start_matches(['\r', '\n']);
    let (line, rest) = text.split_once(['\r', '\n'])?;
    let line = line.trim_end_matches(' ').trim_matches('"');
    let (word, named) = line.split_at_checked(4)?;
    match named.as_bytes() {
        [delimiter] if word.eq_ignore_ascii_case("sep=") && !delimiter.is_ascii_alphanumeric() => {
            Some((*delimiter, rest))
        }
        _ => None,
    }
}

/// A header with more semicolons, tabs or pipes than commas is separated by them, as spreadsheets write it in some
/// locales.
fn delimiter_of(text: &str) -> u8 {
    let header = text.split(['\r', '\n']).next().unwrap_or_default();
    let count = |delimiter: char| header.matches(delimiter).count();
    [(b';', count(';')), (b'\t', count('\t')), (b'|', count('|'))]
        .into_iter()
        .filter(|(_, n)| *n > count(','))
        .max_by_key(|(_, n)| *n)
        .map_or(b',', |(delimiter, _)| delimiter)
}

/// What is wrong with a row, without its values.
fn shape_of(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns, where the header has {expected_len}")
        }
        _ => "not valid CSV".to_owned(),
    }
}

fn array(text: &str) -> Result<Rows<'_>, FileProblem> {
    let rows: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| FileProblem::Malformed {
        problem: format!("not a JSON array of objects (line {}, column {})", error.line(), error.column()),
    })?;
    Ok(Box::new((1_u64..).zip(rows).map(|(number, row)| object_row(number, row.get()))))
}

/// One object is the only row, or holds the rows in its only array; otherwise, each line is one object.
fn objects(text: &str) -> Result<Rows<'_>, FileProblem> {
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        let mut arrays = members.values().filter(|value| value.get().starts_with('['));
        return match (arrays.next(), arrays.next()) {
            (Some(only), None) => array(only.get()),
            _ => Ok(Box::new(std::iter::once(object_row(1, text)))),
        };
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(Box::new((1_u64..).zip(lines).map(|(number, line)| object_row(number, line))))
}

/// What is found in place of a value that a row has twice: which one is meant cannot be known.
const TWICE: &str = "two fields of that name";

/// Numbers stay as written; null says nothing. A nested field is a column named by its path, as in the mapping:
/// `/data/email`.
fn object_row(number: u64, text: &str) -> ReadRow {
    let cells = |row: &Json<'_>| {
        let Json::Object(members) = row else { return None };
        let mut cells = BTreeMap::new();
        for (column, value) in members {
            if let Json::Object(deeper) = value {
                note_deeper(&mut cells, &format!("/{column}"), deeper, DEPTH_MAX);
            }
            note(&mut cells, column.to_string(), value);
        }
        Some(cells)
    };
    let read = Json::with(text, cells).map_err(|_| (number, "not a JSON object".to_owned()))?;
    read.map(|cells| Row { number, cells }).ok_or_else(|| (number, "expected an object".to_owned()))
}

fn note_deeper(
    cells: &mut BTreeMap<String, Cell>,
    path: &str,
    members: &[(Cow<'_, str>, Json<'_>)],
    deeper_max: usize,
) {
    for (name, value) in members {
        let path = format!("{path}/{name}");
        match value {
            Json::Object(deeper) if deeper_max > 0 => note_deeper(cells, &path, deeper, deeper_max - 1),
            _ => note(cells, path, value),
        }
    }
}

fn note(cells: &mut BTreeMap<String, Cell>, column: String, value: &Json<'_>) {
    let Some(cell) = cell_of(value) else { return };
    cells.entry(column).and_modify(|known| *known = Cell::Other(TWICE)).or_insert(cell);
}

fn cell_of(value: &Json<'_>) -> Option<Cell> {
    match value {
        Json::Null => None,
        Json::Text(text) => Some(Cell::Text(text.to_string())),
        Json::Number(number) if !number.is_f64() => Some(Cell::Text(number.to_string())),
        Json::Bool(is) => Some(Cell::Text(is.to_string())),
        Json::Number(_) | Json::List(_) | Json::Object(_) => Some(Cell::Other(value.type_word())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<ReadRow> {
        read(text, &["employee_id".to_owned()]).unwrap().collect()
    }

    fn good(text: &str) -> Vec<Row> {
        all(text).into_iter().map(Result::unwrap).collect()
    }

    fn problem(text: &str) -> FileProblem {
        read(text, &["employee_id".to_owned()]).err().unwrap()
    }

    #[test]
    fn csv_json_and_lines_of_json_say_the_same() {
        let csv = good("employee_id,email\nE-1,ada@example.com\nE-2,\"b, ob@example.com\"\n");
        let array =
            r#"[{"employee_id":"E-1","email":"ada@example.com"},{"employee_id":"E-2","email":"b, ob@example.com"}]"#;
        let lines = good(
            "{\"employee_id\":\"E-1\",\"email\":\"ada@example.com\"}\n{\"employee_id\":\"E-2\",\"email\":\"b, ob@example.com\"}\n",
        );
        assert_eq!(csv, good(array));
        assert_eq!(csv, good(&format!("{{\n\"employees\": {array}, \"next\": null }}")));
        assert_eq!(csv, lines);
        assert_eq!(csv[1].number, 2);
    }

    #[test]
    fn spreadsheet_exports_are_read() {
        for text in [
            "employee_id;email\r\nE-1;ada@example.com\r\n",
            "employee_id\temail\nE-1\tada@example.com",
            "employee_id|email\rE-1|ada@example.com\r",
            "\"Employee_ID\",\" Email \"\n\"E-1\",\"ada@example.com\"\n",
        ] {
            let rows = good(text);
            assert_eq!(rows.len(), 1, "{text}");
            assert_eq!(rows[0].value("email"), Ok(Some("ada@example.com")), "{text}");
        }
        let marked = good("employee_id,last_name\n=\"00002\",King\n\"=\"\"00003\"\"\",\"=\"\"Stone\"\"\"\n");
        let ids: Vec<_> = marked.iter().map(|row| row.value("employee_id")).collect();
        assert_eq!(
            (ids, marked[1].value("last_name")),
            (vec![Ok(Some("00002")), Ok(Some("00003"))], Ok(Some("Stone")))
        );
        assert_eq!(text_of("\u{feff}employee_id".as_bytes()), Ok("employee_id"));
        assert_eq!(text_of(b"employee_id\nJos\xe9\n"), Err(FileProblem::NotUtf8 { at: 15 }));
        for utf_16 in [&b"\xff\xfee\0m\0"[..], b"\xfe\xff\0e\0m", b"e\0m\0", b"\0e\0m"] {
            assert_eq!(text_of(utf_16), Err(FileProblem::Utf16));
        }
        for archive in [&b"PK\x03\x04\x14\0"[..], b"\x1f\x8b\x08\0", b"\xd0\xcf\x11\xe0\xa1"] {
            assert_eq!(text_of(archive), Err(FileProblem::Archive));
        }
    }

    #[test]
    fn one_bad_row_is_reported_by_number_and_the_others_are_read() {
        let rows = all("employee_id,email\nE-1\nE-2,b@example.com\n");
        assert_eq!(rows[0], Err((1, "1 columns, where the header has 2".to_owned())));
        assert!(rows[1].is_ok());
    }

    #[test]
    fn a_file_that_is_cut_within_quotes_loses_its_last_row_and_says_so() {
        let cut = all("employee_id,last_name\nE-1,\"King\"\nE-2,\"Sto");
        assert!(cut[0].is_ok());
        assert!(cut[1].as_ref().unwrap_err().1.contains("quotes are not closed"), "{cut:?}");
        let open = all("employee_id,last_name\nE-1,\"King\nE-2,Stone\n");
        assert_eq!(open.len(), 1);
        assert!(open[0].as_ref().unwrap_err().1.contains("rest of the file"), "{open:?}");
        for cut in ["E-1,\"Say \"\"", "E-1,\"King,", "E-1,\""] {
            let read = all(&format!("employee_id,last_name\n{cut}"));
            assert!(read[0].as_ref().unwrap_err().1.contains("quotes are not closed"), "{cut}: {read:?}");
        }
        for whole in [
            "employee_id,last_name\nE-1,5\" King\nE-2,Stone\n",
            "employee_id,last_name\nE-1,Stone\nE-2,5\" King",
            "employee_id,last_name\nE-1,\"Two\nlines\"",
            "employee_id,last_name\nE-1,\"say \"\"King\"\"\"",
            "employee_id,last_name,department\nE-1,\"King\",\n",
            "employee_id;last_name;department\r\n\"E-1\";\"O\"\"Brien\";\r\n",
            "employee_id,last_name,department\nE-1,\"King\",\"\"",
        ] {
            assert!(all(whole).iter().all(Result::is_ok), "{whole}");
        }
    }

    #[test]
    fn nested_fields_have_a_path_and_a_non_value_is_reported() {
        let rows = good(r#"[{"data":{"employee_id":7},"tags":["a"],"employee_id":{"value":"E-1"},"n":1.5,"x":null}]"#);
        assert_eq!(rows[0].value("/data/employee_id"), Ok(Some("7")));
        assert_eq!(rows[0].value("/employee_id/value"), Ok(Some("E-1")));
        assert_eq!(rows[0].value("employee_id"), Err("object"));
        assert_eq!(rows[0].value("tags"), Err("array"));
        assert!(rows[0].value("n").is_err());
        assert_eq!(rows[0].value("x"), Ok(None));
    }

    #[test]
    fn a_field_that_an_object_has_twice_is_no_value() {
        let rows = good(
            r#"[{"employee_id":"E-1","email":"a@x.com","email":"b@x.com","data":{"n":1},"data":{"n":2},"x":null,"x":"y"}]"#,
        );
        for twice in ["email", "/data/n"] {
            assert_eq!(rows[0].value(twice), Err("two fields of that name"), "{twice}");
        }
        assert_eq!((rows[0].value("employee_id"), rows[0].value("x")), (Ok(Some("E-1")), Ok(Some("y"))));
    }

    #[test]
    fn a_first_line_that_names_the_separator_is_read_as_excel_reads_it() {
        for text in [
            "sep=;\r\nemployee_id;email\r\nE-1;a,b@x.com\r\n",
            "SEP=|\nemployee_id|email\nE-1|a,b@x.com\n",
            "\"sep=;\"\nemployee_id;email\nE-1;a,b@x.com\n",
            "sep=\t\nemployee_id\temail\nE-1\ta,b@x.com\n",
            "sep=,\nemployee_id,email\nE-1,\"a,b@x.com\"\n",
        ] {
            let rows = good(text);
            assert_eq!((rows.len(), rows[0].number), (1, 1), "{text}");
            assert_eq!(rows[0].value("email"), Ok(Some("a,b@x.com")), "{text}");
        }
        assert!(problem("sep=x\nE-1\n").to_string().contains("no column is called employee_id"));
    }

    #[test]
    fn a_column_that_comes_close_is_named() {
        for close in ["Employee ID", "employee-id", "EmployeeId", "employee id:"] {
            let told = problem(&format!("name,{close}\nAda,E-1\n")).to_string();
            assert!(told.ends_with(&format!("(`{close}` comes close)")), "{told}");
        }
        assert!(is_close("email", "E-Mail") && !is_close("email", "e-mail 2") && !is_close("-", "_"));
    }

    #[test]
    fn an_unreadable_file_gives_the_reason() {
        assert_eq!(
            problem("id,email\nE-1,a@b.c\n").to_string(),
            "no column is called employee_id: the columns are id, email"
        );
        assert!(problem(r#"[{"employee_id":"E-1"},{"emp"#).to_string().contains("is the file complete?"));
        for empty in ["  ", "\n\n", "employee_id\n", "[]", r#"{"employees":[]}"#] {
            assert_eq!(problem(empty), FileProblem::Empty, "{empty}");
        }
    }
}
