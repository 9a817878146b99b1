//! Texts with placeholders, such as `{timestamp}.{body}`; `{{` and `}}` stand for one brace.

/// A part of a text with slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The text itself; never empty.
    Literal(String),
    /// The text between braces.
    Slot(&'a str),
}

/// The parts of `text`, in their order.
///
/// # Errors
/// What is wrong with its braces.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, brace)) = rest.find(['{', '}']).and_then(|at| rest.split_at_checked(at)) {
        literal.push_str(before);
        if let Some(after) = brace.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = brace.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else {
            let inner = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (slot, after) = inner.ok_or("a brace stands alone: write {{ or }} for a literal one")?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Slot(slot));
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_separated_from_the_text_between_them() {
        let expected = [Piece::Literal("v0:{".to_owned()), Piece::Slot("id"), Piece::Literal("}ü".to_owned())];
        assert_eq!(pieces("v0:{{{id}}}ü").unwrap(), expected);
        assert_eq!(pieces("").unwrap(), []);
    }

    #[test]
    fn a_brace_alone_is_refused() {
        for text in ["a}b", "{a", "}"] {
            assert!(pieces(text).is_err(), "{text}");
        }
    }
}
