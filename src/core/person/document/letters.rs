//! Dead letters about single fields of a person's record: noted, and answered by later values.

use super::Document;
use crate::core::person::fact::Stamp;
use crate::core::person::job::JobId;
use crate::core::person::letter::{Letter, OpenLetter};

/// How many letters are remembered: HR rarely sends so many unusable values before a usable one.
const LETTERS_MAX: usize = 8;

impl Document {
    /// Notes a dead letter about fields of a record that was stated then.
    pub(in crate::core::person) fn note_letter(&mut self, letter: Letter, stamp: Stamp) {
        self.letters.retain(|known| known.letter.id != letter.id);
        self.letters.push(OpenLetter { letter, stamp });
        let surplus = self.letters.len().saturating_sub(LETTERS_MAX);
        self.letters.drain(..surplus);
    }

    /// Takes out the letters that are answered: HR has stated a usable value of each field since.
    pub(in crate::core::person) fn take_answered(&mut self) -> Vec<JobId> {
        let record = &self.record;
        let is_answered = |open: &OpenLetter| {
            let is_later = |field: &String| record.stated_at(field).is_some_and(|stamp| stamp > open.stamp);
            open.letter.fields.iter().all(is_later)
        };
        let (answered, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.letters).into_iter().partition(is_answered);
        self.letters = left;
        answered.into_iter().map(|open| open.letter.id).collect()
    }
}
