//! What is signed, in order: `{id}.{timestamp}.{body}`.

use std::fmt;

use serde::Deserialize;

use super::fields::JsonPointer;
use crate::core::braces::{Piece, pieces};

/// One part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// This literal text.
    Literal(String),
    /// The raw body.
    Body,
    /// The timestamp, as written.
    Timestamp,
    /// The id, as written.
    Id,
    /// The HTTP method.
    Method,
    /// `public_url`, path and query.
    Url,
    /// A field of the body, as text.
    Json(JsonPointer),
}

impl Part {
    /// Whether the sender chooses its length.
    pub(super) fn is_variable(&self) -> bool {
        match self {
            Self::Body | Self::Timestamp | Self::Id | Self::Url | Self::Json(_) => true,
            Self::Literal(_) | Self::Method => false,
        }
    }
}

/// The signed parts, in order. Written as text with `{part}`; `{{` and `}}` stand for braces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

impl Template {
    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether `part` is signed.
    #[must_use]
    pub fn has(&self, part: &Part) -> bool {
        self.0.contains(part)
    }

    /// Parses the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let part = |piece| match piece {
            Piece::Literal(literal) => Ok(Part::Literal(literal)),
            Piece::Slot("body") => Ok(Part::Body),
            Piece::Slot("timestamp") => Ok(Part::Timestamp),
            Piece::Slot("id") => Ok(Part::Id),
            Piece::Slot("method") => Ok(Part::Method),
            Piece::Slot("url") => Ok(Part::Url),
            Piece::Slot(name) => match name.strip_prefix("json:") {
                Some(pointer) => Ok(Part::Json(JsonPointer::try_from(pointer.to_owned())?)),
                None => {
                    Err(format!("there is no part {{{name}}}: use body, timestamp, id, method, url or json:/a/field"))
                }
            },
        };
        let parts = pieces(text)?.into_iter().map(part).collect::<Result<_, String>>()?;
        Ok(Self(parts))
    }
}

impl fmt::Display for Template {
    /// The template as it is written in configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Body => f.write_str("{body}")?,
                Part::Timestamp => f.write_str("{timestamp}")?,
                Part::Id => f.write_str("{id}")?,
                Part::Method => f.write_str("{method}")?,
                Part::Url => f.write_str("{url}")?,
                Part::Json(pointer) => write!(f, "{{json:{}}}", pointer.as_str())?,
            }
        }
        Ok(())
    }
}

impl Default for Template {
    /// The body alone.
    fn default() -> Self {
        Self(vec![Part::Body])
    }
}

impl TryFrom<String> for Template {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_its_parts_in_order() {
        let template = Template::parse("v0:{timestamp}:{body}").unwrap();
        let parts = [Part::Literal("v0:".into()), Part::Timestamp, Part::Literal(":".into()), Part::Body];
        assert_eq!(template.parts(), parts);
        assert_eq!(
            Template::parse("{method}{{{body}}}").unwrap().parts(),
            [Part::Method, Part::Literal("{".into()), Part::Body, Part::Literal("}".into()),]
        );
        assert!(Template::parse("{body").is_err());
        assert!(Template::parse("body}").is_err());
        assert!(Template::parse("{nonsense}").unwrap_err().contains("{nonsense}"));
    }
}
