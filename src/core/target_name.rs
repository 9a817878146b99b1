//! The target's display name. A process has one, set once at start; until then, and by default, it is
//! Postman. Texts are written for Postman and use the target's own name if it has another.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

const POSTMAN: &str = "Postman";

static NAME: OnceLock<String> = OnceLock::new();
/// Fixed texts with the target's name: as many as the program has.
static SAID: Mutex<Option<HashMap<&'static str, &'static str>>> = Mutex::new(None);

/// Sets the name; the first one stays.
pub fn tell(name: &str) {
    let _ = NAME.set(name.to_owned());
}

/// The name.
#[must_use]
pub fn name() -> &'static str {
    NAME.get().map_or(POSTMAN, String::as_str)
}

/// A fixed text, with the target's name.
#[must_use]
pub fn said(text: &'static str) -> &'static str {
    let name = name();
    if name == POSTMAN || !text.contains(POSTMAN) {
        return text;
    }
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.get_or_insert_default().entry(text).or_insert_with(|| said_of(text, name).leak())
}

/// A text about Postman, with another target's name.
fn said_of(text: &str, name: &str) -> String {
    let mut said = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(POSTMAN) {
        // `the target` has its own article.
        let article = before.strip_suffix("the ").or_else(|| before.strip_suffix("The "));
        said.push_str(article.filter(|_| name.starts_with("the ")).unwrap_or(before));
        if said.is_empty() || said.ends_with(". ") || said.ends_with(": ") {
            let mut letters = name.chars();
            said.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            said.push_str(letters.as_str());
        } else {
            said.push_str(name);
        }
        rest = after;
    }
    said.push_str(rest);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_uses_the_targets_name() {
        assert_eq!(
            said_of("Look at the member in Postman's team settings.", "Slack"),
            "Look at the member in Slack's team settings."
        );
        assert_eq!(
            said_of("Postman refuses this. See Postman.", "the target"),
            "The target refuses this. See the target."
        );
        assert_eq!(
            said_of("No free seats are left on the Postman team.", "the target"),
            "No free seats are left on the target team."
        );
        assert_eq!(said_of("The Postman team is small.", "the target"), "The target team is small.");
        assert_eq!(said_of("Check `[postman] base_url`.", "Slack"), "Check `[postman] base_url`.");
    }

    #[test]
    fn without_a_name_the_target_is_postman() {
        assert_eq!(said("Postman says so."), "Postman says so.");
    }
}
