//! The chunked coding (RFC 9112 §7.1), decoded as the bytes arrive.

use bytes::{Buf, BytesMut};

/// The longest line of a chunk's size, extensions included: nobody uses them.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// Most bytes that may follow the last chunk; they are ignored.
const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// The data of a whole body in chunked coding; none if it is not, or is incomplete.
#[must_use]
pub fn unchunked(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut input, mut output, mut chunks) = (BytesMut::from(bytes), Vec::new(), Chunks::Size);
    while chunks != Chunks::Ended {
        match chunks.step(&mut input, &mut output, usize::MAX) {
            Ok(Step::Went) => {}
            Ok(Step::NeedsMore) | Err(Malformed) => return None,
        }
    }
    Some(output)
}

/// The decoder's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before a chunk's size.
    Size,
    /// Within a chunk, with this many bytes of it left.
    Data(u64),
    /// Before the line break that ends a chunk.
    DataEnd,
    /// After the last chunk, with this many bytes of trailers skipped.
    Trailer(usize),
    /// It has ended.
    Ended,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It made progress, and there may be more to decode.
    Went,
    /// More bytes are needed.
    NeedsMore,
}

/// It is not this coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl Chunks {
    /// Decodes one step of `input`; at most `room` bytes of data go to `output`.
    pub(super) fn step(&mut self, input: &mut BytesMut, output: &mut Vec<u8>, room: usize) -> Result<Step, Malformed> {
        if input.is_empty() {
            return Ok(if *self == Self::Ended { Step::Went } else { Step::NeedsMore });
        }
        match *self {
            Self::Size => {
                let Some(line) = line(input, SIZE_LINE_BYTES_MAX)? else { return Ok(Step::NeedsMore) };
                *self = match size(&line)? {
                    0 => Self::Trailer(0),
                    bytes => Self::Data(bytes),
                };
            }
            Self::Data(left) => {
                let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(input.len()).min(room);
                output.extend_from_slice(&input[..bytes]);
                input.advance(bytes);
                *self = match left - bytes as u64 {
                    0 => Self::DataEnd,
                    left => Self::Data(left),
                };
            }
            Self::DataEnd => match line(input, 2)? {
                Some(line) if line.is_empty() => *self = Self::Size,
                Some(_) => return Err(Malformed),
                None => return Ok(Step::NeedsMore),
            },
            Self::Trailer(passed) => {
                let Some(line) = line(input, TRAILER_BYTES_MAX - passed)? else { return Ok(Step::NeedsMore) };
                *self = if line.is_empty() { Self::Ended } else { Self::Trailer(passed + line.len() + 2) };
            }
            Self::Ended => {}
        }
        Ok(Step::Went)
    }
}

/// Takes a line from `input`, without its end; none while it is incomplete.
fn line(input: &mut BytesMut, bytes_max: usize) -> Result<Option<BytesMut>, Malformed> {
    match input.iter().take(bytes_max).position(|byte| *byte == b'\n') {
        Some(end) if end > 0 && input[end - 1] == b'\r' => {
            let mut line = input.split_to(end + 1);
            line.truncate(end - 1);
            Ok(Some(line))
        }
        Some(_) => Err(Malformed),
        None if input.len() >= bytes_max => Err(Malformed),
        None => Ok(None),
    }
}

fn size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_hex).ok_or(Malformed)?;
    u64::from_str_radix(text, 16).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the coding holds, given in pieces of `piece` bytes; none if it does not end.
    fn decoded(coded: &[u8], piece: usize) -> Result<Option<Vec<u8>>, Malformed> {
        let (mut chunks, mut input, mut output) = (Chunks::Size, BytesMut::new(), Vec::new());
        for part in coded.chunks(piece) {
            input.extend_from_slice(part);
            while chunks != Chunks::Ended && chunks.step(&mut input, &mut output, usize::MAX)? == Step::Went {}
        }
        Ok((chunks == Chunks::Ended && input.is_empty()).then_some(output))
    }

    #[test]
    fn the_data_is_the_same_however_the_bytes_come() {
        let coded = b"3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nX-Trailer: a\r\n\r\n";
        for piece in 1..=coded.len() {
            assert_eq!(decoded(coded, piece), Ok(Some(b"abc0123456789".to_vec())), "{piece}");
        }
        assert_eq!(decoded(b"0\r\n\r\n", 9), Ok(Some(Vec::new())));
        assert_eq!(decoded(b"3\r\nab", 9), Ok(None));
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        let long_line = format!("1;{}\r\n", "x".repeat(300));
        let long_trailer = format!("0\r\n{}\r\n", "a: b\r\n".repeat(1000));
        for malformed in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1\na\r\n",
            "1\r\nab\r\n",
            "1\r\na\n\n",
            "10000000000000000\r\n",
            &long_line,
            &long_trailer,
        ] {
            assert_eq!(decoded(malformed.as_bytes(), 1), Err(Malformed), "{malformed:?}");
        }
    }
}
