//! The sources that may post here.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

use super::IntakeError;
use super::capture::Keeper;
use super::head::Head;
use super::keys::LiveKeys;
use super::memory::{Memory, SourceShare};
use super::recent::Recent;
use super::tally::Counters;
use crate::config::SourceSecret;
use crate::core::delivery::is_taken;
use crate::core::mapping::Mapping;
use crate::core::person::SourceName;
use crate::core::signature::scheme::Auth;
use crate::core::signature::{Scheme, Verifier};
use crate::core::tally::{OTHERS, SourceTally, UNKNOWN_SOURCE, UNKNOWN_SOURCES_MAX};
use crate::core::time::UnixMs;

/// One HR system that may post.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in the URL.
    pub name: SourceName,
    /// How it signs.
    pub scheme: Scheme,
    /// The secrets it may sign with.
    pub secrets: Vec<SourceSecret>,
    /// How its payload is read.
    pub mapping: Mapping,
    /// How long a delivery is remembered, to recognise a repetition, in milliseconds.
    pub remember_ms: u64,
    /// The media types that are accepted: see [`is_taken`].
    pub content_types: Vec<String>,
    /// Largest body accepted from it, in bytes; none: the common limit.
    pub body_bytes_max: Option<usize>,
    /// The networks it may post from; empty: any.
    pub allow_from: Vec<IpNet>,
}

/// A source, ready to be posted to.
pub(super) struct Endpoint {
    pub(super) name: SourceName,
    pub(super) verifier: Verifier,
    pub(super) keys: LiveKeys,
    pub(super) mapping: Mapping,
    pub(super) fingerprint: [u8; 16],
    pub(super) remember_ms: u64,
    pub(super) counters: Counters,
    /// Its share of memory.
    pub(super) memory: SourceShare,
    /// The results of its deliveries, for `status`.
    seen: Mutex<SourceTally>,
    /// Its last deliveries.
    pub(super) recent: Recent,
    /// Keeps the tokens that it is offered.
    pub(super) keeper: Keeper,
    content_types: Vec<String>,
    body_bytes_max: Option<usize>,
    allow_from: Vec<IpNet>,
}

impl Endpoint {
    fn new(source: Source, memory: SourceShare) -> Result<Self, IntakeError> {
        let Source { name, scheme, secrets, mapping, remember_ms, content_types, body_bytes_max, allow_from } = source;
        let verifier =
            Verifier::new(scheme).map_err(|problems| IntakeError::Scheme { name: name.clone(), problems })?;
        let keys = LiveKeys::new(verifier.scheme(), secrets);
        let counters = Counters::of(&name);
        let (seen, recent) = (Mutex::default(), Recent::default());
        Ok(Self {
            name,
            verifier,
            keys,
            fingerprint: mapping.fingerprint(),
            mapping,
            remember_ms,
            counters,
            memory,
            seen,
            recent,
            keeper: Keeper::default(),
            content_types,
            body_bytes_max,
            allow_from,
        })
    }

    /// Notes something about its deliveries.
    pub(super) fn note(&self, note: impl FnOnce(&mut SourceTally)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The results of its deliveries so far.
    pub(super) fn seen(&self) -> SourceTally {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it may post from there.
    pub(super) fn lets_in(&self, client: IpAddr) -> bool {
        self.allow_from.is_empty() || self.allow_from.iter().any(|network| network.contains(&client))
    }

    /// Largest body accepted from it, in bytes.
    pub(super) fn body_bytes_max(&self, of_all: usize) -> usize {
        self.body_bytes_max.map_or(of_all, |bytes| bytes.min(of_all))
    }

    /// Whether a body of this `Content-Type` is accepted.
    pub(super) fn takes(&self, content_type: Option<&str>) -> bool {
        is_taken(&self.content_types, content_type)
    }
}

/// All sources, by name.
pub(super) struct Sources {
    endpoints: HashMap<String, Arc<Endpoint>>,
    unknown: Mutex<Unknown>,
}

/// Names that deliveries are posted to although no source has them.
#[derive(Default)]
struct Unknown {
    names: BTreeMap<String, SourceTally>,
    /// What was posted to names that were displaced.
    others: SourceTally,
}

impl Unknown {
    /// A client that tries one name after the other must not displace an HR system's misspelt one: see
    /// [`SourceTally::unknown_rank`].
    fn note(&mut self, name: &str, now: UnixMs) {
        if self.names.len() >= UNKNOWN_SOURCES_MAX && !self.names.contains_key(name) {
            let least = self.names.iter().min_by_key(|(_, tally)| tally.unknown_rank(now));
            if let Some(least) = least.map(|(name, _)| name.clone())
                && let Some(displaced) = self.names.remove(&least)
                && displaced.unknown_rank(now).0
            {
                self.others.add_unknown(now, displaced.unknown());
            }
        }
        self.names.entry(name.to_owned()).or_default().refused(now, UNKNOWN_SOURCE);
    }

    fn seen(&self) -> BTreeMap<String, SourceTally> {
        let others = self.others.unknown_at().map(|_| (OTHERS.to_owned(), self.others.clone()));
        self.names.clone().into_iter().chain(others).collect()
    }
}

impl Sources {
    pub(super) fn new(sources: Vec<Source>, memory: &Memory) -> Result<Self, IntakeError> {
        let count = sources.len();
        let endpoints = sources.into_iter().map(|source| {
            let name = source.name.as_str().to_owned();
            Ok((name, Arc::new(Endpoint::new(source, memory.source_share(count))?)))
        });
        Ok(Self { endpoints: endpoints.collect::<Result<_, _>>()?, unknown: Mutex::default() })
    }

    /// Notes a delivery to a name that no source has.
    pub(super) fn note_unknown(&self, name: &str, now: UnixMs) {
        // A name that no source can have is not worth noting.
        if SourceName::parse(name).is_ok() {
            self.unknown.lock().unwrap_or_else(PoisonError::into_inner).note(name, now);
        }
    }

    /// The results of every source's deliveries so far.
    pub(super) fn seen(&self) -> BTreeMap<String, SourceTally> {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner).seen();
        self.endpoints.iter().map(|(name, endpoint)| (name.clone(), endpoint.seen())).chain(unknown).collect()
    }

    /// The source for which a request to some other path is signed: the one with which the path ends, or else the first that
    /// signs in the same header.
    pub(super) fn meant_by(&self, head: &Head) -> Option<&Arc<Endpoint>> {
        let signs_so = |endpoint: &&Arc<Endpoint>| {
            let mut names = endpoint.verifier.scheme().proof_headers();
            names.any(|name| head.headers.all(name).next().is_some())
        };
        let named = head.path().rsplit('/').find(|part| !part.is_empty()).map(str::to_ascii_lowercase);
        let named = named.and_then(|name| self.find(&name)).filter(signs_so);
        // A scanner sends credentials, too, but no signature.
        let signed = self.endpoints.values().filter(|endpoint| endpoint.verifier.scheme().auth == Auth::Hmac);
        named.or_else(|| signed.filter(signs_so).min_by_key(|endpoint| endpoint.name.as_str()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_displaces_no_misspelt_name() {
        let mut unknown = Unknown::default();
        for n in 0..100 {
            unknown.note(&format!("guess-{n}"), UnixMs(n));
            unknown.note("misspelt", UnixMs(n));
        }
        assert_eq!(unknown.names.len(), UNKNOWN_SOURCES_MAX);
        assert_eq!(unknown.names["misspelt"].refused[UNKNOWN_SOURCE].count, 100);
        unknown.note("late", UnixMs(100));
        assert!(unknown.names.contains_key("late") && unknown.names.contains_key("guess-99"));
        // The HR system is quiet for a while.
        for n in 0..100 {
            unknown.note(&format!("next-{n}"), UnixMs(60_000 + n));
        }
        assert_eq!(unknown.names["misspelt"].refused[UNKNOWN_SOURCE].count, 100);
        for n in 0..20 {
            unknown.note(&format!("hours-later-{n}"), UnixMs(8_000_000));
        }
        assert!(!unknown.names.contains_key("misspelt"), "it is still reported");
    }

    #[test]
    fn repeated_made_up_names_displace_no_earlier_name_and_all_are_counted() {
        let mut unknown = Unknown::default();
        (0..5).for_each(|n| unknown.note("misspelt", UnixMs(n)));
        for n in 0..40 {
            (0..100).for_each(|m| unknown.note(&format!("s{n}"), UnixMs(1_000 + n * 100 + m)));
        }
        let seen = unknown.seen();
        assert_eq!((seen["misspelt"].unknown().count, seen.len()), (5, UNKNOWN_SOURCES_MAX + 1));
        let all: u64 = seen.values().map(|tally| tally.unknown().count).sum();
        assert_eq!(all, 5 + 40 * 100);
    }
}
