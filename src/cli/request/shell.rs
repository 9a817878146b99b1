//! The words of a shell command, as far as a pasted one needs: quotes, escapes, continuation lines.

/// The words up to the end of the command.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | ';' | '|' => break,
            c if c.is_whitespace() => words.extend(word.take()),
            '\\' => match chars.next() {
                Some('\r') if chars.next_if_eq(&'\n').is_some() => {}
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            '\'' => {
                let word = word.get_or_insert_default();
                word.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '$' if chars.next_if_eq(&'\'').is_some() => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '\'') {
                    if c == '\\' { word.extend(escaped(&mut chars)) } else { word.push(c) }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match c {
                        '\\' if chars.next_if_eq(&'\n').is_some() => {}
                        '\\' => word.push(chars.next_if(|c| "\"\\$`".contains(*c)).unwrap_or('\\')),
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What an escape in `$'…'` stands for.
fn escaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'x' => hex(chars, 2),
        'u' => hex(chars, 4),
        'U' => hex(chars, 8),
        other => Some(other),
    }
}

fn hex(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, digits: usize) -> Option<char> {
    let mut value = 0;
    for _ in 0..digits {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(16)) else { break };
        value = value * 16 + digit;
        chars.next();
    }
    char::from_u32(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, expected) in [
            ("a 'b c' \"d \\\"e\\\" $f\" g\\ h", &["a", "b c", "d \"e\" $f", "g h"][..]),
            ("a \\\n b\nc", &["a", "b"]),
            ("a \\\r\n b", &["a", "b"]),
            (r"$'it\'s\n\u00e9' ''", &["it's\né", ""]),
            ("a'b'\"c\"", &["abc"]),
            ("a | b", &["a"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
