//! Holds that are set, probed, lifted and stored.

use super::*;
use crate::core::person::SourceName;

const PAUSES: ProbePauses = ProbePauses { first_ms: 30_000, max_ms: 300_000 };

fn held() -> Holds {
    let mut holds = Holds::default();
    assert!(holds.set(UnixMs(0), HoldScope::All, Code::HoldKey, PAUSES, None));
    holds
}

#[test]
fn pauses_double_up_to_the_cap() {
    let all: Vec<u64> = (0..6).map(|n| PAUSES.after(n) / 1000).collect();
    assert_eq!(all, [30, 60, 120, 240, 300, 300]);
    assert_eq!(PAUSES.after(200), 300_000);
}

#[test]
fn a_standing_hold_keeps_its_pauses() {
    let mut holds = held();
    assert!(!holds.set(UnixMs(5), HoldScope::All, Code::HoldKey, PAUSES, None));
    assert_eq!(holds.get(&HoldScope::All).unwrap().next_probe_at, Some(UnixMs(30_000)));
}

#[test]
fn an_operators_hold_gives_way_to_no_other() {
    let mut holds = Holds::default();
    holds.set(UnixMs(0), HoldScope::All, Code::HoldOperator, PAUSES, None);
    assert!(!holds.set(UnixMs(5), HoldScope::All, Code::HoldKey, PAUSES, None));
    assert_eq!(holds.due_probe(UnixMs(i64::MAX)), None);
}

#[test]
fn one_worker_probes_at_a_time_until_it_is_given_up() {
    let mut holds = held();
    assert!(!holds.begin_probe(UnixMs(29_999), &HoldScope::All, "a", UnixMs(90_000)));
    assert!(holds.begin_probe(UnixMs(30_000), &HoldScope::All, "a", UnixMs(90_000)));
    assert!(!holds.begin_probe(UnixMs(40_000), &HoldScope::All, "b", UnixMs(99_000)));
    assert!(holds.begin_probe(UnixMs(90_000), &HoldScope::All, "b", UnixMs(99_000)));
    assert!(!holds.end_probe(UnixMs(91_000), &HoldScope::All, "a", true, PAUSES));
    assert!(holds.end_probe(UnixMs(92_000), &HoldScope::All, "b", false, PAUSES));
    assert_eq!(holds.next_probe_at(), Some(UnixMs(92_000 + 60_000)));
}

#[test]
fn a_clock_that_is_set_back_ends_a_pause_and_does_not_prolong_it() {
    let hour = 3_600_000;
    let mut holds = Holds::default();
    holds.set(UnixMs(2 * hour), HoldScope::All, Code::HoldKey, PAUSES, None);
    assert!(holds.due_probe(UnixMs(2 * hour - 9_000)).is_none(), "another process's clock");
    assert!(holds.begin_probe(UnixMs(hour), &HoldScope::All, "a", UnixMs(hour + 60_000)));
    assert!(holds.due_probe(UnixMs(hour)).is_none(), "one at a time");
    assert!(holds.begin_probe(UnixMs(1_000), &HoldScope::All, "b", UnixMs(61_000)), "a's is over, too");
    holds.end_probe(UnixMs(2_000), &HoldScope::All, "b", false, PAUSES);
    assert!(holds.due_probe(UnixMs(2_000)).is_none());
}

#[test]
fn a_returning_hold_continues_its_pauses() {
    let mut holds = held();
    holds.begin_probe(UnixMs(30_000), &HoldScope::All, "a", UnixMs(90_000));
    holds.end_probe(UnixMs(31_000), &HoldScope::All, "a", true, PAUSES);
    assert_eq!(holds.get(&HoldScope::All), None);
    holds.set(UnixMs(40_000), HoldScope::All, Code::HoldKey, PAUSES, None);
    assert_eq!(holds.next_probe_at(), Some(UnixMs(40_000 + 60_000)));
    holds.lift(Some(&HoldScope::All));
    holds.set(UnixMs(50_000), HoldScope::All, Code::HoldKey, PAUSES, None);
    assert_eq!(holds.next_probe_at(), Some(UnixMs(80_000)));
}

#[test]
fn an_unreadable_hold_holds_its_scope_or_everything_until_lifted() {
    let stored = r#"{"holds":[{"scope":"writes","code":"HOLD-OF-TOMORROW","since":7,"next_probe_at":9,"new":[1]},
        {"scope":"creates","code":"HOLD-PLAN","since":1,"next_probe_at":2,"probes":0}],"lifted":[]}"#;
    let mut holds = Holds::from_bytes(stored.as_bytes());
    let tomorrow = holds.get(&HoldScope::Writes).unwrap();
    assert_eq!((tomorrow.code, tomorrow.since), (Code::HoldUnreadable, UnixMs(7)));
    assert_eq!(holds.get(&HoldScope::Creates).unwrap().code, Code::HoldPlan);
    assert!(!holds.set(UnixMs(8), HoldScope::Writes, Code::HoldReadOnly, PAUSES, None), "it stays");
    assert!(holds.set(UnixMs(8), HoldScope::All, Code::HoldKey, PAUSES, None));
    // A version that can read it finds it unchanged.
    let again = serde_json::to_string(&holds).unwrap();
    assert!(again.contains(r#""code":"HOLD-OF-TOMORROW""#) && again.contains(r#""new":[1]"#), "{again}");
    assert_eq!(Holds::from_bytes(again.as_bytes()), holds);
    assert_eq!(holds.lift(Some(&HoldScope::Writes)).len(), 1);
    assert!(!serde_json::to_string(&holds).unwrap().contains("TOMORROW"));

    for stored in ["garbage", "[]", "7", r#"{"holds":{}}"#, r#"{"holds":[17]}"#, "\u{0}\u{1}", "null"] {
        let mut holds = Holds::from_bytes(stored.as_bytes());
        assert_eq!(holds.get(&HoldScope::All).map(|hold| hold.code), Some(Code::HoldUnreadable), "{stored}");
        assert_eq!(Holds::from_bytes(&serde_json::to_vec(&holds).unwrap()), holds, "{stored}");
        assert!(holds.lift(Some(&HoldScope::All)).len() == 1 && holds.holds.is_empty(), "{stored}");
    }
    assert_eq!(Holds::from_bytes(b""), Holds::default());
    assert_eq!(Holds::from_bytes(b"{}"), Holds::default());
    let lifted = r#"{"lifted":[{"scope":"all","code":"HOLD-OF-TOMORROW","at":1,"probes":0}]}"#;
    assert_eq!(Holds::from_bytes(lifted.as_bytes()), Holds::default(), "it is over");
}

#[test]
fn an_operators_hold_and_an_unreadable_one_are_lifted_separately() {
    let newer = r#"{"holds":[{"scope":"all","code":"HOLD-OF-TOMORROW","since":7}],"of_tomorrow":{"x":[1]}}"#;
    for stored in [newer, "garbage"] {
        let mut holds = Holds::from_bytes(stored.as_bytes());
        let unread = holds.holds[0].clone();
        assert!(holds.set_by_hand(UnixMs(9), &HoldScope::All) && !holds.set_by_hand(UnixMs(11), &HoldScope::All));
        let set = holds.set_by_operator(&HoldScope::All).unwrap().clone();
        assert_eq!((set.code, set.since, holds.holds.len()), (Code::HoldOperator, UnixMs(9), 2));
        let mut again = Holds::from_bytes(&serde_json::to_vec(&holds).unwrap());
        assert_eq!(again, holds, "nothing is lost");
        assert_eq!(again.lift(Some(&HoldScope::All)), [set], "it alone");
        assert_eq!(again.lift_what_a_key_can_cause(UnixMs(12)), []);
        assert_eq!(again.holds, std::slice::from_ref(&unread));
        assert_eq!((again.lift(None), again.lift(Some(&HoldScope::All))), (vec![], vec![unread]));
    }
    let holds = Holds::from_bytes(newer.as_bytes());
    assert!(serde_json::to_string(&holds).unwrap().contains(r#""of_tomorrow":{"x":[1]}"#));
    // It replaces what the target caused.
    let mut holds = held();
    assert!(holds.set_by_hand(UnixMs(5), &HoldScope::All));
    assert_eq!((holds.holds.len(), holds.holds[0].code), (1, Code::HoldOperator));
}

#[test]
fn an_operators_hold_and_the_guards_are_lifted_separately() {
    let scope = HoldScope::Deactivations;
    let mut holds = Holds::default();
    assert!(holds.set(UnixMs(1), scope.clone(), Code::HoldGuard, PAUSES, None));
    assert!(holds.set_by_hand(UnixMs(2), &scope) && !holds.set_by_hand(UnixMs(3), &scope));
    let codes = |holds: &[Hold]| holds.iter().map(|hold| hold.code).collect::<Vec<_>>();
    assert_eq!(codes(&holds.holds), [Code::HoldGuard, Code::HoldOperator]);
    assert!(holds.is_guarded(&scope) && holds.keeps_back(&scope).is_some());
    for by in [None, Some(&scope)] {
        let mut holds = holds.clone();
        assert_eq!(codes(&holds.lift(by)), [Code::HoldOperator]);
        assert!(holds.is_guarded(&scope) && holds.keeps_back(&scope).is_none());
        assert_eq!(codes(&holds.lift(Some(&scope))), [Code::HoldGuard]);
        assert_eq!(holds.holds, []);
    }
    assert_eq!(holds.get(&scope).unwrap().code, Code::HoldOperator, "who lifts it must know of it first");
    // The guard's own goes without the operator's.
    let guards = holds.holds[0].clone();
    assert_eq!(holds.clone().lift_one(&scope, Code::HoldGuard), std::slice::from_ref(&guards));
    assert!(holds.lift_same(&guards));
    assert_eq!(codes(&holds.holds), [Code::HoldOperator]);
}

#[test]
fn an_operators_hold_keeps_who_set_it_and_why() {
    let mut holds = held();
    holds.sign(&HoldScope::All, "admin", None);
    assert_eq!(holds.holds[0].set_by(), None, "the target caused it");
    holds.set_by_hand(UnixMs(1), &HoldScope::All);
    holds.sign(&HoldScope::All, "admin", Some("a\u{1b}move\nof offices"));
    holds.sign(&HoldScope::All, "night", None);
    let mut again = Holds::from_bytes(&serde_json::to_vec(&holds).unwrap());
    assert_eq!(again.holds[0].set_by().unwrap(), "set by admin: amoveof offices");
    again.sign(&HoldScope::All, "night", Some(&"x".repeat(300)));
    assert_eq!(again.holds[0].reason.as_ref().unwrap().len(), DETAIL_CHARS_MAX);
    assert_eq!(again.holds[0].by.as_deref(), Some("night"));
}

#[test]
fn a_new_key_lifts_every_hold_that_a_key_can_cause() {
    let fetch = HoldScope::Fetch(SourceName::parse("hr").unwrap());
    for scope in [HoldScope::All, HoldScope::Writes, fetch] {
        for place in [0, 1] {
            let mut holds = Holds::default();
            holds.set(UnixMs(0), scope.clone(), Code::HoldKey, PAUSES, None);
            let unread = Hold::unreadable(serde_json::json!({ "scope": scope, "code": "HOLD-OF-TOMORROW" }));
            holds.holds.insert(place, unread.clone());
            assert_eq!(holds.lift_what_a_key_can_cause(UnixMs(1)), std::slice::from_ref(&scope), "{place}");
            assert_eq!((holds.holds, holds.lifted.len()), (vec![unread], 1));
        }
    }
}

#[test]
fn a_hold_that_only_an_operator_lifts_is_never_probed() {
    let end = UnixMs(i64::MAX);
    for (by_hand, of_target, is_probed) in [
        (HoldScope::All, HoldScope::Writes, false),
        (HoldScope::All, HoldScope::All, false),
        (HoldScope::Writes, HoldScope::Writes, false),
        (HoldScope::Writes, HoldScope::All, true),
        (HoldScope::Deactivations, HoldScope::Writes, true),
    ] {
        let mut holds = Holds::default();
        holds.set(UnixMs(0), of_target.clone(), Code::HoldRefused, PAUSES, None);
        let unread = serde_json::json!({ "scope": by_hand, "code": "HOLD-OF-TOMORROW" });
        for place in [0, 1] {
            let mut holds = holds.clone();
            holds.holds.insert(place, Hold::unreadable(unread.clone()));
            let case = format!("{by_hand} {of_target} {place}");
            assert_eq!(holds.due_probe(end).is_some(), is_probed, "{case}");
            assert_eq!(holds.next_probe_at().is_some(), is_probed, "{case}");
            assert_eq!(holds.begin_probe(UnixMs(i64::MAX - 1), &of_target, "a", end), is_probed, "{case}");
        }
    }
}

#[test]
fn a_hold_keeps_the_answer_that_caused_it() {
    let mut holds = held();
    assert!(holds.say(&HoldScope::All, Code::HoldKey, "403") && !holds.say(&HoldScope::All, Code::HoldKey, "403"));
    assert!(!holds.say(&HoldScope::All, Code::HoldPlan, "x") && !holds.say(&HoldScope::Writes, Code::HoldKey, "x"));
    let again = Holds::from_bytes(&serde_json::to_vec(&holds).unwrap());
    assert_eq!(again.holds[0].detail.as_deref(), Some("403"));
}
