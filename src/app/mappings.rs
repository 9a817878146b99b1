//! Maps kept payloads again with the current mappings: those of webhooks, and of the pages of lists.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::admin::remap::{Remap, Remapped, StillUnmapped};
use crate::config::SourceConfig;
use crate::core::code::Code;
use crate::core::mapping::{self, Mapping, Record};
use crate::core::person::SourceName;

/// Maps kept payloads by the current mappings.
pub(super) fn remap(sources: &[SourceConfig]) -> Remap {
    let mappings: Vec<_> = sources
        .iter()
        .map(|source| (source.name.clone(), source.mapping.clone(), mapping_of_pages(source).cloned()))
        .collect();
    Arc::new(move |name: &SourceName, payload: &[u8]| {
        let (_, mapping, of_pages) = mappings.iter().find(|(known, ..)| known == name)?;
        let payload = Bytes::copy_from_slice(payload);
        let is_page = |records: &[Record]| {
            let is_none =
                |record: &Record| matches!(record, Record::Unmapped { code: Code::MapShape, person: None, .. });
            !records.iter().any(is_none)
        };
        let of_page =
            of_pages.as_ref().map(|of_pages| mapping::remap(of_pages, name, &payload)).filter(|of| is_page(of));
        let mut remapped = Remapped::default();
        for record in of_page.unwrap_or_else(|| mapping::remap(mapping, name, &payload)) {
            match record {
                Record::Event { event, .. } => remapped.events.push(event),
                Record::Ignored { .. } => remapped.ignored += 1,
                Record::Unmapped { person, code, detail, payload, .. } => {
                    remapped.unmapped.push(StillUnmapped { person, code, detail, payload });
                }
            }
        }
        Some(remapped)
    })
}

/// The mapping for the pages of a list whose notices name no person.
fn mapping_of_pages(source: &SourceConfig) -> Option<&Mapping> {
    source.fetch.as_ref().and_then(|fetch| fetch.api.mapping_of_pages())
}

/// A hash that changes with the mappings.
pub(super) fn mappings_hash(sources: &[SourceConfig]) -> String {
    let mut hash = Sha256::new();
    for source in sources {
        hash.update(format!("{}\n", source.name));
        for mapping in [Some(&source.mapping), mapping_of_pages(source)].into_iter().flatten() {
            hash.update(mapping.fingerprint());
        }
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source_alone;
    use crate::core::person::EmploymentState;

    fn kombo(more: &str) -> SourceConfig {
        let text = format!(
            "name = 'hr'\npreset = 'kombo'\nsecrets = ['a secret of 16 bytes or more']\n\
             fetch = {{ token = 't', values = {{ integration_id = 'i' }}{more} }}"
        );
        source_alone(text.parse().unwrap(), std::iter::empty()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn kept_list_records_are_mapped_like_pages_and_kept_webhooks_like_webhooks() {
        let page =
            br#"{"status":"success","data":{"results":[{"id":"E-1","employment_status":"SABBATICAL"}],"next":null}}"#;
        let notice = br#"{"id":"k1","type":"data-changed","data":{"changed_models":[{"name":"hris_employees"}]}}"#;
        let (before, after) = (kombo(""), kombo(", mapping = { active_values = ['ACTIVE', 'SABBATICAL'] }"));
        assert_ne!(mappings_hash(std::slice::from_ref(&before)), mappings_hash(std::slice::from_ref(&after)));
        let read = |source: &SourceConfig, payload: &[u8]| {
            remap(std::slice::from_ref(source))(&SourceName::parse("hr").unwrap(), payload).unwrap()
        };
        let still = read(&before, page);
        assert!(still.events.is_empty());
        assert!(still.unmapped[0].detail.starts_with("status:") && still.unmapped[0].person.is_some(), "{still:?}");
        let mended = read(&after, page);
        assert_eq!((mended.events.len(), mended.unmapped.len()), (1, 0), "{mended:?}");
        assert_eq!(mended.events[0].facts.employment, Some((EmploymentState::Employed, None)));
        let notices = read(&after, notice);
        assert_eq!((notices.events.len(), notices.unmapped.len()), (1, 0));
    }

    #[test]
    fn a_kept_record_that_the_mapping_ignores_by_now_is_done_with() {
        let text = "name = 'hr'\nsecrets = ['whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=']\n\
                    mapping = { ignore = ['team.renamed'] }";
        let source =
            source_alone(text.parse().unwrap(), std::iter::empty()).unwrap_or_else(|errors| panic!("{errors}"));
        let remapped = remap(&[source])(&SourceName::parse("hr").unwrap(), br#"{"type":"team.renamed"}"#).unwrap();
        assert_eq!((remapped.events.len(), remapped.unmapped.len(), remapped.ignored), (0, 0, 1), "{remapped:?}");
    }
}
