//! Nobody is called so: what the HR system has sent, and what no record has come of, may be why.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::deliveries::DeliveryFilter;
use super::listing::percent_encoded;
use super::people::search_words;
use super::service::AdminState;
use crate::core::code::Code;
use crate::core::deliveries::Answered;
use crate::core::person::Person;
use crate::core::problems::{ProblemCode, hides_people};
use crate::store::{DeadFilter, DeadRow, Page};

/// Kept records that are searched for a name, the newest first.
const LETTERS_MAX: usize = 100;
/// A record that is longer is not searched. Most have some hundred bytes.
const LETTER_BYTES_MAX: usize = 64 * 1024;
/// How many bytes of records are searched: parsing them takes a fifth of a second.
const SEARCHED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How many bytes of records are read for that, with those that are too long.
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Deliveries that are looked at.
const DELIVERIES_MAX: usize = 200;
/// How many are reported, the most specific ones.
const CLUES_MAX: usize = 4;

/// One search at a time, so that many of them do not occupy every core.
static SEARCHES: Semaphore = Semaphore::const_new(1);

/// Problems of which the refused deliveries are a part.
const REFUSALS: [ProblemCode; 3] = [ProblemCode::SourceSignature, ProblemCode::SourceTime, ProblemCode::SourceRefused];

/// Something that may be why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clue {
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub action: String,
    /// The console's page about it.
    pub page: String,
}

impl AdminState {
    /// What may be why nobody is called so, the most specific first. What cannot be read is left out: that nobody was found is
    /// an answer by itself.
    pub(super) async fn clues(&self, text: &str) -> Vec<Clue> {
        let mut clues = self.under_another_source(text).await;
        clues.extend(self.kept_records_with(text).await);
        let problems = self.overview().await.map(|overview| overview.problems).unwrap_or_default();
        clues.extend(problems.into_iter().filter(|problem| hides_people(&problem.code)).map(|problem| Clue {
            what: format!("{} {}", problem.code, problem.what),
            action: problem.action,
            page: problem.page,
        }));
        // What is a problem now is not repeated as what is past.
        let is_known = |clue: &Clue| REFUSALS.iter().any(|code| clue.what.starts_with(code.as_str()));
        let reports_refusals = clues.iter().any(is_known);
        clues.extend(self.turned_away(!reports_refusals).await);
        clues.truncate(CLUES_MAX);
        clues
    }

    /// Others who have this employee id, under another source than the one that was named.
    async fn under_another_source(&self, text: &str) -> Vec<Clue> {
        let Some(named) = Person::from_key(text) else { return Vec::new() };
        let mut clues = Vec::new();
        for source in self.source_names().filter(|source| **source != named.source) {
            let Ok(other) = Person::parse(source.clone(), &named.employee_id) else { continue };
            if self.person(&other).await.is_ok() {
                clues.push(Clue {
                    what: format!("`{other}` has this employee id: HR's events came to that source."),
                    action: format!("See `scim-bridge person {other}`."),
                    page: format!("/people?search={}", percent_encoded(&other.to_string())),
                });
            }
        }
        clues
    }

    /// Records that could not be mapped, and have all these words. They are searched off the listener's only thread.
    async fn kept_records_with(&self, text: &str) -> Vec<Clue> {
        let words = search_words(&Person::from_key(text).map_or(text.to_owned(), |person| person.employee_id));
        let Ok(_turn) = SEARCHES.acquire().await else { return Vec::new() };
        if words.is_empty() {
            return Vec::new();
        }
        let (records, unsearched) = self.kept_records().await;
        let search = move || records.iter().filter(|(_, payload)| has_words(payload, &words)).map(of_letter).collect();
        let mut clues: Vec<Clue> = tokio::task::spawn_blocking(search).await.unwrap_or_default();
        if unsearched > 0 {
            clues.push(Clue {
                what: format!(
                    "{unsearched} records that could not be mapped are too long to be searched for these words."
                ),
                action: "See `scim-bridge dead list`.".to_owned(),
                page: "/dead".to_owned(),
            });
        }
        clues
    }

    /// The newest records that could not be mapped, and how many were too long to be among them.
    async fn kept_records(&self) -> (Vec<(DeadRow, Bytes)>, usize) {
        let page = Page { rows_max: LETTERS_MAX, after: None };
        let listed = self.store.dead(&DeadFilter::default(), &page).await.map(|listed| listed.rows).unwrap_or_default();
        let (mut records, mut searched, mut read, mut unsearched) = (Vec::new(), 0, 0, 0);
        for row in listed.into_iter().filter(|row| row.unmapped) {
            if read >= READ_BYTES_MAX {
                unsearched += 1;
                continue;
            }
            let Ok(Some((_, Some(payload)))) = self.store.dead_letter(row.id).await else { continue };
            read += payload.len();
            if payload.len() <= LETTER_BYTES_MAX && searched + payload.len() <= SEARCHED_BYTES_MAX {
                searched += payload.len();
                records.push((row, payload));
            } else {
                unsearched += 1;
            }
        }
        (records, unsearched)
    }

    /// Of the last deliveries: those that were refused, and those that the mapping leaves out by a rule of its own. The first
    /// may be no problem any more, the others never are.
    async fn turned_away(&self, with_refused: bool) -> Vec<Clue> {
        let page = Page { rows_max: DELIVERIES_MAX, after: None };
        let listed = self.deliveries(&DeliveryFilter::default(), &page).await;
        let mut counts = BTreeMap::<(String, String), u64>::new();
        for row in listed.map(|listed| listed.rows).unwrap_or_default() {
            let Some(source) = &row.source else { continue };
            let reason = row.delivered.reason.as_deref().unwrap_or_default();
            let what = match (row.delivered.answered, reason) {
                (Answered::Ignored, "condition") => "left out by `only_if` or `except_if` of its mapping".to_owned(),
                (Answered::Ignored, "out_of_scope") => "left out by `in_scope_if` of its mapping".to_owned(),
                (Answered::Ignored, "listed") => "left out by `ignore` of its mapping".to_owned(),
                (Answered::Refused, reason) if with_refused => format!("refused ({reason})"),
                _ => continue,
            };
            *counts.entry((source.to_string(), what)).or_default() += 1;
        }
        let clue = |((source, what), n): ((String, String), u64)| {
            let deliveries = if n == 1 { "1 delivery was".to_owned() } else { format!("{n} deliveries were") };
            Clue {
                what: format!("Source `{source}`: {deliveries} {what}, among its last ones."),
                action: format!(
                    "`scim-bridge deliveries --source {source}` shows when; nothing about people is kept of these. `scim-bridge explain` shows what is done with a payload."
                ),
                page: format!("/deliveries?source={source}#last"),
            }
        };
        counts.into_iter().map(clue).collect()
    }
}

fn of_letter((row, _): &(DeadRow, Bytes)) -> Clue {
    let advice = Code::ALL.iter().find(|code| code.as_str() == row.code).map_or("", |code| code.advice());
    Clue {
        what: format!(
            "A record of source `{}` that could not be mapped has these words: dead letter {} ({}: {}).",
            row.source, row.id, row.code, row.detail
        ),
        action: format!("See `scim-bridge dead show {}`. {advice}", row.id).trim_end().to_owned(),
        page: format!("/dead/{}", row.id),
    }
}

/// Whether each of these words, in lower case, stands in the record by itself.
fn has_words(payload: &[u8], words: &[String]) -> bool {
    // As text, JSON may have escapes in place of letters.
    let text = match serde_json::from_slice::<serde_json::Value>(payload) {
        Ok(json) => json.to_string(),
        Err(_) => String::from_utf8_lossy(payload).into_owned(),
    };
    let text = text.to_lowercase();
    let is_apart = |around: Option<char>| around.is_none_or(|c| !c.is_alphanumeric());
    words.iter().all(|word| {
        text.match_indices(word.as_str()).any(|(at, found)| {
            is_apart(text[..at].chars().next_back()) && is_apart(text[at + found.len()..].chars().next())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_in_any_case_and_behind_escapes() {
        let has = |payload: &str, text: &str| has_words(payload.as_bytes(), &search_words(text));
        let record = r#"{"id":"E-10","name":"Jos\u00e9 Doe","mail":"J.Doe@x.com"}"#;
        for text in ["josé", "Doe José", "j.doe@x.com", "e-10"] {
            assert!(has(record, text), "{text}");
        }
        for text in ["E-1", "Jo", "José King", "doe@x.co"] {
            assert!(!has(record, text), "{text}");
        }
        assert!(has("not JSON: ada;LOVELACE", "Ada Lovelace"));
    }
}
