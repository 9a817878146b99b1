//! The limiter that all workers share.

use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::store::Token;

use crate::harness::{Bench, at};

const MINUTE_MS: u64 = 60_000;

/// The first token is granted at once, then one per interval: 10 a minute are 6 090.001 ms apart, of which 300 ms can
/// be caught up.
async fn ten_a_minute(b: &mut Bench) {
    b.with(|options| {
        options.writes = Rate { calls: 10, window_ms: MINUTE_MS };
        options.reads = Rate { calls: 10, window_ms: MINUTE_MS };
    })
    .await;
}

async fn token(b: &mut Bench, ms: u64, kind: CallKind) -> Token {
    b.store().await.take_token(at(ms), kind).await.unwrap()
}

pub(crate) async fn each_kind_of_token_comes_at_its_own_rate(b: &mut Bench) {
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

pub(crate) async fn a_restart_does_not_forget_taken_tokens(b: &mut Bench) {
    ten_a_minute(b).await;
    assert_eq!(token(b, 0, CallKind::Write).await, Token::Granted);
    b.reopen().await;
    assert!(matches!(token(b, 1, CallKind::Write).await, Token::NotBefore(_)));
}

pub(crate) async fn a_backoff_moves_both_kinds_for_everybody(b: &mut Bench) {
    ten_a_minute(b).await;
    b.store().await.back_off(at(0), at(30_000)).await.unwrap();
    b.reopen().await;
    for kind in [CallKind::Write, CallKind::Read] {
        assert_eq!(token(b, 29_999, kind).await, Token::NotBefore(at(30_000)));
    }
    // An earlier time does not shorten it.
    b.store().await.back_off(at(1), at(2)).await.unwrap();
    assert_eq!(token(b, 29_999, CallKind::Read).await, Token::NotBefore(at(30_000)));
    assert_eq!(token(b, 30_000, CallKind::Read).await, Token::Granted);
}

pub(crate) async fn a_backoff_holds_without_a_limit_too(b: &mut Bench) {
    b.store().await.back_off(at(0), at(30_000)).await.unwrap();
    assert_eq!(token(b, 29_999, CallKind::Write).await, Token::NotBefore(at(30_000)));
    assert_eq!(token(b, 30_000, CallKind::Write).await, Token::Granted);
}
