//! A record that could not be mapped, with a field of it corrected by an operator.

use super::error::AdminError;
use super::service::{AdminState, Noted};
use super::tokens::Actor;
use crate::core::audit::Act;
use crate::core::mapping::{FieldExplanation, Show, corrected};
use crate::core::person::job::JobId;

/// Longest value that is set, in bytes.
const VALUE_BYTES_MAX: usize = 1_000;

/// What to do where fields cannot be set.
const ELSEWHERE: &str =
    "Correct the mapping, then replay; or correct the person in the HR system, whose next event counts, and discard.";

impl AdminState {
    /// Sets fields of a kept record, by the mapping's names for them, and puts the resulting events into inboxes. If
    /// it still cannot be mapped, nothing changes.
    pub async fn correct(&self, by: &Actor, id: JobId, fields: &[(String, String)]) -> Result<(), AdminError> {
        let (row, payload) = self.store.dead_letter(id).await?.ok_or(AdminError::NotFound("dead letter"))?;
        let Some(payload) = payload.filter(|_| row.unmapped) else {
            let why = "fields: only a record that could not be mapped has fields to correct";
            return Err(AdminError::advised(why, "Correct the person in the HR system: its next event heals this."));
        };
        let explanation = (self.explain)(&row.source, &payload, Show::default())
            .ok_or_else(|| AdminError::SourceGone(row.source.to_string()))?;
        let [record] = explanation.records.as_slice() else {
            return Err(AdminError::advised("fields: this is not one record, so none can be corrected", ELSEWHERE));
        };
        let mut text = std::str::from_utf8(&payload)
            .map_err(|_| AdminError::advised("fields: the record is not text", ELSEWHERE))?
            .to_owned();
        for (name, value) in fields {
            let field =
                record.fields.iter().find(|field| field.field == *name).ok_or_else(|| unknown(name, &record.fields))?;
            if value.len() > VALUE_BYTES_MAX {
                let what = format!("fields.{name}: more than {VALUE_BYTES_MAX} bytes");
                return Err(AdminError::advised(what, "Give a shorter value."));
            }
            let paths = field.found_at.iter().chain(&field.paths);
            text = paths.into_iter().find_map(|path| corrected(&text, &record.at, path, value)).ok_or_else(|| {
                AdminError::advised(
                    format!("fields.{name}: its paths choose among several, so it cannot be set here"),
                    ELSEWHERE,
                )
            })?;
        }
        self.put_mapped(&row, text.as_bytes()).await?;
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let (target, reason) = (id.to_string(), format!("corrected: {}", names.join(", ")));
        self.note(by, Act::Correct, Noted { target: &target, count: None, reason: Some(&reason) }).await
    }
}

fn unknown(name: &str, fields: &[FieldExplanation]) -> AdminError {
    let names: Vec<_> = fields.iter().map(|field| field.field.as_str()).collect();
    AdminError::advised(
        format!("fields: this source's mapping does not read `{name}`; it reads {}", names.join(", ")),
        "Set one of these; if the record has what is missing under another path, correct the mapping, then replay.",
    )
}
