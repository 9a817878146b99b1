//! Problems of the store.

use std::collections::BTreeSet;

use super::{Figures, Found, counted};
use crate::core::code::Code;
use crate::core::store_health::{FailingOperation, Suffers};
use crate::core::target_name::said;

/// One problem if the store as a whole cannot be written, and one for each code with which operations fail.
pub(super) fn troubles(figures: &Figures) -> Vec<Found> {
    let mut found: Vec<_> = figures.store.map(cannot_be_written).into_iter().collect();
    let failing = |code: &str| figures.store_failing.iter().filter(|failing| failing.code == code).collect::<Vec<_>>();
    let codes: BTreeSet<_> = figures.store_failing.iter().map(|failing| failing.code.as_str()).collect();
    // While nothing can be written, every other failure has the same cause, except damage, which remains.
    let is_reported = |code: &str| match figures.store {
        Some(whole) => code == Code::StoreDamaged.as_str() && code != whole.as_str(),
        None => true,
    };
    found.extend(codes.into_iter().filter(|code| is_reported(code)).map(|code| fails(code, &failing(code))));
    found
}

fn cannot_be_written(code: Code) -> Found {
    let what = format!("{} Webhooks are answered 503, and nothing reaches Postman.", code.title());
    Found::new(code, what, code.advice(), 1).about("store")
}

fn fails(code: &str, failing: &[&FailingOperation]) -> Found {
    let known = Code::ALL.iter().find(|known| known.as_str() == code);
    let (title, advice) = known.map_or(("The store fails.", "See the log."), |known| (known.title(), known.advice()));
    let suffers = |what: Suffers| {
        let these = failing.iter().filter(|failing| failing.operation.suffers() == what);
        these.map(|failing| failing.lately).reduce(|a, b| a + b)
    };
    let (deliveries, attempts) = (suffers(Suffers::Deliveries), suffers(Suffers::People));
    let mut what = title.to_owned();
    match deliveries {
        Some(0) => what.push_str(" The last deliveries were answered 503."),
        Some(n) => {
            let who = counted(n, "delivery was", "deliveries were");
            what.push_str(&format!(" {who} answered 503 in the last minute."));
        }
        None => {}
    }
    if attempts.is_some() {
        what.push(' ');
        what.push_str(said("People do not reach Postman: the workers' calls to the store fail."));
    }
    let (passed_over, upkeep) = (suffers(Suffers::PassedOver), suffers(Suffers::Upkeep));
    if passed_over.is_some() {
        what.push_str(" Damaged data is skipped: the log says whom it concerns.");
    }
    if suffers(Suffers::Safety).is_some() && known != Some(&Code::StoreMinReplicas) {
        what.push_str(
            " This has been so since the bridge connected; another connection, or a restart, would be refused.",
        );
    }
    if upkeep.is_some() {
        what.push_str(" Some stored data cannot be read or changed.");
    }
    let count = deliveries.or(attempts).or(passed_over).unwrap_or(0).max(1);
    let since = failing.iter().map(|failing| failing.since).min();
    Found::new(code, what, advice, count).about("store").since(since)
}

#[cfg(test)]
mod tests {
    use super::super::{Problem, Seen, problems};
    use super::*;
    use crate::core::store_health::StoreOperation;
    use crate::core::time::UnixMs;

    fn reported(store: Option<Code>, failing: &[(StoreOperation, Code, u64)]) -> Vec<Problem> {
        let failing = failing.iter().map(|(operation, code, lately)| FailingOperation {
            operation: *operation,
            code: code.as_str().to_owned(),
            since: UnixMs(7),
            lately: *lately,
        });
        let figures = Figures { now: UnixMs(1_000), store, store_failing: failing.collect(), ..Figures::default() };
        problems(&figures, &Seen::default())
    }

    fn keys(reported: &[Problem]) -> Vec<String> {
        reported.iter().map(Problem::key).collect()
    }

    #[test]
    fn failures_are_reported_by_code_with_their_effect() {
        let failing = [
            (StoreOperation::Accept, Code::StoreDamaged, 3),
            (StoreOperation::Own, Code::StoreDamaged, 2),
            (StoreOperation::Stats, Code::StoreUnwritable, 1),
        ];
        let reported = reported(None, &failing);
        assert_eq!(keys(&reported), ["STORE-DAMAGED store", "STORE-UNWRITABLE store"]);
        assert_eq!((reported[0].count, reported[0].since), (3, UnixMs(7)));
        assert!(reported[0].what.ends_with(
            "3 deliveries were answered 503 in the last minute. People do not reach Postman: the workers' calls to the store fail."
        ), "{}", reported[0].what);
        assert!(reported[1].what.ends_with("Some stored data cannot be read or changed."), "{}", reported[1].what);
    }

    #[test]
    fn skipped_damage_is_reported() {
        let reported = reported(None, &[(StoreOperation::PassOver, Code::StoreDamaged, 4)]);
        assert!(
            reported[0].what.ends_with("Damaged data is skipped: the log says whom it concerns."),
            "{}",
            reported[0].what
        );
        assert_eq!(reported[0].count, 4);
    }

    #[test]
    fn damage_is_reported_long_after_the_last_delivery() {
        let reported = reported(None, &[(StoreOperation::Accept, Code::StoreDamaged, 0)]);
        assert_eq!((reported[0].count, reported[0].code.as_str()), (1, "STORE-DAMAGED"));
        assert!(reported[0].what.ends_with("The last deliveries were answered 503."), "{}", reported[0].what);
    }

    #[test]
    fn while_nothing_can_be_written_only_that_and_damage_are_reported() {
        let failing = [(StoreOperation::Accept, Code::StoreTimeout, 9), (StoreOperation::Own, Code::StoreDamaged, 1)];
        assert_eq!(keys(&reported(Some(Code::StoreLost), &failing)), ["STORE-LOST store", "STORE-DAMAGED store"]);
        assert_eq!(keys(&reported(Some(Code::StoreDamaged), &failing)), ["STORE-DAMAGED store"]);
    }
}
