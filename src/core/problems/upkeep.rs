//! What the bridge's own parts need the operator to do: receivers of alerts, secrets, certificates.

use std::collections::BTreeMap;

use super::{AlertFigure, CertificateFigure, EXPIRES_MS, Figures, Found, ProblemCode};
use crate::core::processes::FailingSecret;

/// A single failed try may be a restart on the other side.
const TRIES_MIN: u32 = 2;

/// Receivers of alerts that could not be reached.
pub(super) fn alerts(figures: &Figures) -> Vec<Found> {
    figures.alerts.iter().filter(|alert| alert.tries >= TRIES_MIN).map(alert).collect()
}

fn alert(AlertFigure { host, since, tries, reason }: &AlertFigure) -> Found {
    let code = ProblemCode::AlertFailing;
    let what = format!("{} `{host}`: {tries} tries, the last one: {reason}.", code.title());
    Found::new(code, what, code.advice(), u64::from(*tries)).about(host).since(Some(*since)).at("/settings")
}

/// Secrets whose files can no longer be used, in any process.
pub(super) fn secrets(figures: &Figures) -> Vec<Found> {
    let mut by_key: BTreeMap<&str, Vec<&FailingSecret>> = BTreeMap::new();
    for secret in figures.processes.heard(figures.now).flat_map(|process| &process.failing_secrets) {
        by_key.entry(&secret.key).or_default().push(secret);
    }
    by_key.into_iter().map(|(key, failing)| secret(key, &failing)).collect()
}

fn secret(key: &str, failing: &[&FailingSecret]) -> Found {
    let code = ProblemCode::SecretUnusable;
    let reason = failing.first().map_or("", |first| &first.reason);
    let what = format!("{} `{key}`: {reason}.", code.title());
    let since = failing.iter().map(|secret| secret.since).min();
    let processes = u64::try_from(failing.len()).unwrap_or(u64::MAX);
    let found = Found::new(code, what, code.advice(), processes).about(key).since(since).at("/settings");
    found.in_brief(format!("{} `{key}`.", code.title()))
}

/// Certificates that expire soon, or have expired.
pub(super) fn certificates(figures: &Figures) -> Vec<Found> {
    let ending = figures.certificates.iter().filter(|certificate| certificate.until.ms_since(figures.now) < EXPIRES_MS);
    ending.map(certificate).collect()
}

fn certificate(CertificateFigure { key, until }: &CertificateFigure) -> Found {
    let code = ProblemCode::CertificateExpires;
    let what = format!("{} That of `{key}` ends at {until}.", code.title());
    let since = until.minus_ms(EXPIRES_MS);
    Found::new(code, what, code.advice(), 1).about(key).since(Some(since)).at("/settings")
}

#[cfg(test)]
mod tests {
    use super::super::{Seen, problems};
    use super::*;
    use crate::core::processes::{Process, ProcessRole};
    use crate::core::time::UnixMs;

    #[test]
    fn a_secret_that_several_processes_cannot_read_is_reported_once_with_its_key() {
        let now = UnixMs(1_800_000_000_000);
        let failing = |since| FailingSecret {
            key: "postman.key".to_owned(),
            reason: "file `/run/secrets/postman` is empty".to_owned(),
            since: UnixMs(since),
        };
        let process = |id: &str, secrets: Vec<FailingSecret>| Process {
            id: id.to_owned(),
            role: ProcessRole::All,
            version: "1".to_owned(),
            since: now,
            beat_at: now,
            calling_since: None,
            answered_at: None,
            unsent: None,
            store_failing: Vec::new(),
            failing_secrets: secrets,
            others_ahead_ms: 0,
        };
        let mut figures = Figures { now, up_since: now, ..Figures::default() };
        figures.processes.beat(process("a", vec![failing(9)]));
        figures.processes.beat(process("b", vec![failing(7)]));
        figures.processes.beat(process("c", Vec::new()));
        let reported = problems(&figures, &Seen::default());
        assert_eq!(
            reported.iter().map(super::super::Problem::key).collect::<Vec<_>>(),
            ["SECRET-UNUSABLE postman.key"]
        );
        assert_eq!((reported[0].count, reported[0].since), (2, UnixMs(7)));
        assert!(
            reported[0].what.contains("/run/secrets/postman") && !reported[0].brief.contains("/run/secrets"),
            "{reported:?}"
        );
    }

    #[test]
    fn a_certificate_is_reported_from_two_weeks_before_it_expires() {
        let now = UnixMs(1_800_000_000_000);
        let reported = |until| {
            let certificates = vec![CertificateFigure { key: "store.cert_file", until }];
            problems(&Figures { now, up_since: now, certificates, ..Figures::default() }, &Seen::default())
        };
        assert_eq!(reported(now.plus_ms(EXPIRES_MS)), []);
        for until in [now.plus_ms(EXPIRES_MS - 1), now.minus_ms(5)] {
            let reported = &reported(until)[0];
            assert_eq!(reported.key(), "CERTIFICATE-EXPIRES store.cert_file");
            assert_eq!(reported.since, until.minus_ms(EXPIRES_MS));
        }
    }

    #[test]
    fn a_receiver_that_stays_unreachable_is_reported_with_the_reason() {
        let reported = |tries| {
            let reason = "answered 500".to_owned();
            let alerts = vec![AlertFigure { host: "hooks.example.com".to_owned(), since: UnixMs(7), tries, reason }];
            problems(&Figures { alerts, ..Figures::default() }, &Seen::default())
        };
        assert_eq!(reported(1), []);
        let reported = &reported(2)[0];
        assert_eq!((reported.code.as_str(), reported.count, reported.since), ("ALERT-FAILING", 2, UnixMs(7)));
        assert!(
            reported.what.contains("`hooks.example.com`") && reported.what.contains("answered 500"),
            "{reported:?}"
        );
    }
}
