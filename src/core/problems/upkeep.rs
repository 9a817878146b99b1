//! What the bridge itself needs from its operator.

use super::{AlertFigure, Figures, Found, ProblemCode};

/// One try that failed may be a restart on the other side.
const TRIES_MIN: u32 = 2;

/// Receivers of alerts that are not reached.
pub(super) fn alerts(figures: &Figures) -> Vec<Found> {
    figures.alerts.iter().filter(|alert| alert.tries >= TRIES_MIN).map(alert).collect()
}

fn alert(AlertFigure { host, since, tries, reason }: &AlertFigure) -> Found {
    let code = ProblemCode::AlertFailing;
    let what = format!("{} `{host}`: {tries} tries, the last one: {reason}.", code.title());
    Found::new(code, what, code.advice(), u64::from(*tries)).about(host).since(Some(*since)).at("/settings")
}

#[cfg(test)]
mod tests {
    use super::super::{Seen, problems};
    use super::*;
    use crate::core::time::UnixMs;

    #[test]
    fn a_receiver_that_is_not_reached_again_is_told_with_the_reason() {
        let told = |tries| {
            let reason = "answered 500".to_owned();
            let alerts = vec![AlertFigure { host: "hooks.example.com".to_owned(), since: UnixMs(7), tries, reason }];
            problems(&Figures { alerts, ..Figures::default() }, &Seen::default())
        };
        assert_eq!(told(1), []);
        let told = &told(2)[0];
        assert_eq!((told.code.as_str(), told.count, told.since), ("ALERT-FAILING", 2, UnixMs(7)));
        assert!(told.what.contains("`hooks.example.com`") && told.what.contains("answered 500"), "{told:?}");
    }
}
