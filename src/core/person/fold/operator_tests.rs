//! Discards.

use super::fold;
use super::tests::{ada, other, update};
use crate::core::code::Code;
use crate::core::person::Mark;
use crate::core::person::document::{Document, Trouble};
use crate::core::person::inbox::Word;
use crate::core::person::samples::member;
use crate::core::time::UnixMs;

#[test]
fn after_a_discard_the_record_is_not_followed_until_the_next_event() {
    let mut document = Document::new(ada());
    fold(&mut document, vec![update(1, 20, "King")], UnixMs(3_000));
    document.trouble = Some(Trouble {
        id: document.open[0].id,
        code: Code::ScimRejected,
        detail: String::new(),
        since: UnixMs(0),
        tried_at: None,
    });
    let by = "admin".to_owned();
    let folding = fold(&mut document, vec![other(2, Word::Discard { by, reason: None })], UnixMs(3_001));
    assert_eq!((document.open.len(), document.trouble.clone()), (0, None));
    assert_eq!(document.not_followed_since, Some(UnixMs(3_001)));
    assert!(!folding.calls_for_attempt);
    let mut again = document.clone();
    fold(&mut document, vec![update(3, 30, "Lovelace")], UnixMs(3_002));
    assert_eq!(document.not_followed_since, None);
    // HR says the same once more.
    let folding = fold(&mut again, vec![update(3, 20, "King")], UnixMs(3_002));
    assert_eq!((again.not_followed_since, again.open.len()), (None, 1));
    assert!(folding.calls_for_attempt && folding.ended.is_empty());
}

#[test]
fn a_person_unknown_to_hr_stays_marked_after_a_discard_while_they_may_be_active() {
    let discarded = |active| {
        let mut document = Document::new(ada());
        fold(&mut document, vec![update(1, 20, "King")], UnixMs(3_000));
        let (id, since) = (document.open[0].id, UnixMs(0));
        document.trouble =
            Some(Trouble { id, code: Code::FetchNotFound, detail: String::new(), since, tried_at: None });
        document.member = Some(member("m1", active));
        let by = "admin".to_owned();
        fold(&mut document, vec![other(2, Word::Discard { by, reason: None })], UnixMs(3_001));
        document
    };
    assert_eq!(discarded(Some(false)).marks(), []);
    let mut document = discarded(Some(true));
    assert_eq!(document.marks(), [Mark::GoneAtHr]);
    assert_eq!(document.marked_since(Mark::GoneAtHr), Some(UnixMs(3_001)));
    fold(&mut document, vec![update(3, 30, "Lovelace")], UnixMs(3_002));
    assert_eq!(document.marks(), [], "HR says something of them");
}
