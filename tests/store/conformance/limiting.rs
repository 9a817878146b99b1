//! The limiter that all workers share.

use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::store::{Token, WaitReason};

use crate::harness::{Bench, at, done, hire, rename};

const MINUTE_MS: u64 = 60_000;

/// The first token at the beginning of time, then one an interval: 10 a minute are 6 090.001 ms apart,
/// and 300 ms of it may be made up for.
async fn ten_a_minute(b: &mut Bench) {
    b.with(|options| {
        options.writes = Rate { calls: 10, window_ms: MINUTE_MS };
        options.reads = Rate { calls: 10, window_ms: MINUTE_MS };
    })
    .await;
}

async fn token(b: &mut Bench, ms: u64, kind: CallKind) -> Token {
    b.s().await.take_token(at(ms), kind).await.unwrap()
}

pub(crate) async fn tokens_come_at_their_rate_and_each_kind_has_its_own(b: &mut Bench) {
    ten_a_minute(b).await;
    assert_eq!(token(b, 0, CallKind::Write).await, Token::Granted);
    let Token::NotBefore(next) = token(b, 1, CallKind::Write).await else { panic!("a second at once") };
    assert!((at(5_700)..at(5_900)).contains(&next), "{next}");
    assert_eq!(token(b, 1, CallKind::Read).await, Token::Granted);
    let mut granted = 0;
    for ms in (0..10 * MINUTE_MS).step_by(50) {
        granted += u32::from(token(b, ms, CallKind::Write).await == Token::Granted);
        if granted == 20 {
            assert!(ms >= 115_000, "20 of 10 a minute after {ms} ms");
            return;
        }
    }
    panic!("only {granted} in ten minutes");
}

pub(crate) async fn what_was_taken_is_not_forgotten_by_a_restart(b: &mut Bench) {
    ten_a_minute(b).await;
    assert_eq!(token(b, 0, CallKind::Write).await, Token::Granted);
    b.reopen().await;
    assert!(matches!(token(b, 1, CallKind::Write).await, Token::NotBefore(_)));
}

pub(crate) async fn a_backoff_moves_both_kinds_for_everybody(b: &mut Bench) {
    ten_a_minute(b).await;
    b.accept(at(0), &[hire("1"), rename("2")]).await;
    b.s().await.back_off(at(0), at(30_000)).await.unwrap();
    b.reopen().await;
    for kind in [CallKind::Write, CallKind::Read] {
        assert_eq!(token(b, 29_999, kind).await, Token::NotBefore(at(30_000)));
    }
    let (until, reason) = b.claim_none(at(10)).await;
    assert_eq!(until, Some(at(30_000)));
    assert!(matches!(reason, WaitReason::Token(_)));
    // An earlier one does not shorten it.
    b.s().await.back_off(at(1), at(2)).await.unwrap();
    assert_eq!(token(b, 29_999, CallKind::Read).await, Token::NotBefore(at(30_000)));
    assert_eq!(b.claim_up_to(at(30_000), 8).await.len(), 2);
}

pub(crate) async fn a_backoff_holds_without_a_limit_too(b: &mut Bench) {
    b.s().await.back_off(at(0), at(30_000)).await.unwrap();
    assert_eq!(token(b, 29_999, CallKind::Write).await, Token::NotBefore(at(30_000)));
    assert_eq!(token(b, 30_000, CallKind::Write).await, Token::Granted);
}

pub(crate) async fn a_claim_takes_a_token_for_each_job(b: &mut Bench) {
    ten_a_minute(b).await;
    b.accept(at(0), &[hire("1"), hire("2")]).await;
    let claimed = b.claim_up_to(at(0), 8).await;
    assert_eq!((claimed.len(), claimed[0].token), (1, CallKind::Write));
    assert!(matches!(token(b, 0, CallKind::Write).await, Token::NotBefore(_)));
    let (until, reason) = b.claim_none(at(1)).await;
    assert_eq!(reason, WaitReason::Token(CallKind::Write));
    let until = until.unwrap();
    assert!(until > at(5_000) && until < at(6_000), "{until}");
    assert_eq!(b.claim_up_to(until, 8).await.len(), 1);
}

pub(crate) async fn without_writes_the_renames_go_on_and_the_other_way_round(b: &mut Bench) {
    ten_a_minute(b).await;
    let ids = b.accept(at(0), &[hire("1"), hire("2"), rename("3")]).await;
    let claimed: Vec<_> = b.claim_up_to(at(0), 8).await.into_iter().map(|claimed| claimed.job.id).collect();
    assert_eq!(claimed, [ids[0], ids[2]]);
    let rename = b.accept_one(at(1), rename("4")).await;
    assert_eq!(b.claim_none(at(1)).await.1, WaitReason::Token(CallKind::Write));
    assert_eq!(b.claim_up_to(at(6_000), 8).await.len(), 2);
    assert_eq!(b.state(rename).await, Some(scim_bridge::core::job::JobState::Running));
}

pub(crate) async fn a_claim_of_nothing_takes_no_token(b: &mut Bench) {
    ten_a_minute(b).await;
    b.claim_none(at(0)).await;
    b.accept_one(at(0), rename("1")).await;
    b.work_off(at(0), done()).await;
    assert_eq!(token(b, 0, CallKind::Write).await, Token::Granted);
}

pub(crate) async fn a_take_over_waits_for_a_token_too(b: &mut Bench) {
    ten_a_minute(b).await;
    b.accept_one(at(0), hire("1")).await;
    b.claim_one(at(0)).await;
    b.s().await.back_off(at(1), at(90_000)).await.unwrap();
    assert_eq!(b.claim_none(at(60_000)).await, (Some(at(90_000)), WaitReason::Token(CallKind::Write)));
    assert_eq!(b.claim_one(at(90_000)).await.job.take_overs, 1);
}
