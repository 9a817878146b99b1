//! An upper bound of the memory that a JSON body takes once parsed, from one pass over its bytes.

/// Four fields, the initial capacity of an object, each of 24 and 32 bytes.
const OBJECT_BYTES: usize = 240;
/// A field in a list that doubles, while it is copied to the new one.
const FIELD_BYTES: usize = 168;
/// Four elements, the initial capacity of a list.
const LIST_BYTES: usize = 128;
/// An element of 32 bytes in a list that doubles, while it is copied to the new one.
const ELEMENT_BYTES: usize = 96;
/// The allocator's minimum for a text, beyond its length.
const TEXT_BYTES: usize = 16;

/// The most that `body` takes while it is parsed and read, itself included.
pub(super) fn parsed_bytes(body: &[u8]) -> usize {
    let mut bytes = 2 * body.len();
    let mut within_text = false;
    let mut escaped = false;
    for byte in body {
        if within_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => within_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => {
                within_text = true;
                bytes += TEXT_BYTES;
            }
            // `&`: the next field of a form, an object within objects.
            b'{' | b'&' => bytes += OBJECT_BYTES,
            b'[' => bytes += LIST_BYTES,
            b':' => bytes += FIELD_BYTES,
            b',' => bytes += ELEMENT_BYTES,
            _ => {}
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_objects_cost_eighty_times_their_length_and_ordinary_records_some_ten_times() {
        let tiny = format!("[{}0]", r#"{"":0},"#.repeat(1000));
        assert!((50..100).contains(&(parsed_bytes(tiny.as_bytes()) / tiny.len())));
        let record =
            r#"{"type":"employee.hired","data":{"employee_id":"E-1001","email":"ada@example.com","first_name":"Ada"}}"#;
        assert!((5..30).contains(&(parsed_bytes(record.as_bytes()) / record.len())));
    }

    #[test]
    fn braces_inside_strings_are_not_structure() {
        let text = format!(r#""{}""#, r#"{[,:\""#.repeat(1000));
        assert!(parsed_bytes(text.as_bytes()) < 3 * text.len());
    }
}
