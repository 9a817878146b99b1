//! A server whose clock is set back: due people, tokens and leases do not wait for it.

use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::store::{Commit, Committed, TOKEN_LOOK_MAX, Token};

use crate::harness::{Bench, LEASE_MS, STORY_KEEP_MS, at, commit, idle, person, retry};
use crate::redis::{AsServer, both};

/// A worker that looks for work once a second and finds none.
async fn nothing_to_do(b: &mut Bench, from: u64, to: u64) {
    for ms in (from..=to).step_by(1_000) {
        b.claim_none(at(ms)).await;
    }
}

/// Two hours; the clock is set back by most of that.
const LATE: u64 = 7_200_000;
const BACK: u64 = 600_000;

#[tokio::test]
async fn work_due_soon_stays_due_soon_after_the_clock_is_set_back() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.accept(at(LATE), &[("1", "x")]).await;
        b.process(at(LATE), "1", commit("1", retry(at(LATE + 60_000)))).await;
        let until = b.claim_none(at(BACK)).await;
        assert_eq!(until, Some(at(BACK + 60_000)));
        // Time advances at nine tenths of the clock's pace, until the clock has caught up.
        nothing_to_do(&mut b, BACK, BACK + 66_000).await;
        b.process(at(BACK + 67_000), "1", commit("1", idle())).await;
        // New deliveries are due at once.
        b.accept(at(BACK + 67_000), &[("2", "x")]).await;
        b.process(at(BACK + 67_000), "2", commit("2", idle())).await;
    }
}

#[tokio::test]
async fn a_clock_set_back_again_and_again_stops_nothing() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        for n in 0..4 {
            let now = LATE - n * 1_000_000;
            let who = n.to_string();
            b.accept(at(now), &[(&who, "x")]).await;
            b.process(at(now), &who, commit(&who, retry(at(now + 9_000)))).await;
            nothing_to_do(&mut b, now, now + 8_000).await;
            b.process(at(now + 11_000), &who, commit(&who, idle())).await;
        }
        // The clock has caught up: both agree again.
        b.accept(at(10 * LATE), &[("9", "x")]).await;
        b.process(at(10 * LATE), "9", commit("9", retry(at(10 * LATE + 1_000)))).await;
        b.claim_none(at(10 * LATE + 999)).await;
        b.process(at(10 * LATE + 1_000), "9", commit("9", idle())).await;
    }
}

#[tokio::test]
async fn correcting_the_clock_takes_no_lease_away() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.accept(at(LATE), &[("1", "x")]).await;
        b.process(at(LATE), "1", commit("1", retry(at(LATE + 3 * LEASE_MS)))).await;
        b.accept(at(LATE), &[("2", "x")]).await;
        // Claimed while the clock is set back; it is corrected a moment later.
        let claimed = b.claim_one(at(BACK)).await;
        b.claim_none(at(BACK + 2_000)).await;
        b.claim_none(at(LATE + 3_000)).await;
        let renewed = b.store().await.renew(at(LATE + 4_000), &claimed.lease, LEASE_MS).await.unwrap().unwrap();
        let folded = Commit { consumed_to: Some(claimed.inbox[0].seq), ..commit("2", idle()) };
        let done = b.commit(at(LATE + 5_000), &renewed, folded).await;
        assert_eq!(done, Committed::Committed);
        // And time follows the clock again, almost.
        let until = b.claim_none(at(LATE + 6_000)).await;
        assert!(until.is_some_and(|until| until.ms_since(at(LATE)) > 3 * LEASE_MS - 15_000), "{until:?}");
    }
}

#[tokio::test]
async fn asking_only_for_tokens_gets_one_in_time() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.with(|options| options.writes = Rate { calls: 10, window_ms: 10_000 }).await;
        let mut granted = Vec::new();
        for from in [LATE, BACK] {
            while b.store().await.take_token(at(LATE), CallKind::Write).await.unwrap() == Token::Granted {}
            let mut count = 0_u32;
            for now in (0..300).map(|n| at(from + n * 100)) {
                count += u32::from(b.store().await.take_token(now, CallKind::Write).await.unwrap() == Token::Granted);
            }
            granted.push(count);
        }
        assert!(granted[0] > 10 && granted[1] <= granted[0] && granted[1] * 10 >= granted[0] * 8, "{granted:?}");
    }
}

#[tokio::test]
async fn a_lease_expires_even_if_the_clock_is_set_back() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.accept(at(LATE), &[("1", "x")]).await;
        let first = b.claim_one(at(LATE)).await;
        nothing_to_do(&mut b, BACK, BACK + LEASE_MS).await;
        let second = b.claim_one(at(BACK + LEASE_MS * 10 / 9 + 1_000)).await;
        assert!(second.taken_over && second.lease.person == first.lease.person);
        assert!(second.lease.fence > first.lease.fence);
    }
}

#[tokio::test]
async fn tokens_return_on_time_even_if_the_clock_is_set_back() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.with(|options| options.writes = Rate { calls: 10, window_ms: 10_000 }).await;
        let mut taken = 0;
        while b.store().await.take_token(at(LATE), CallKind::Write).await.unwrap() == Token::Granted {
            taken += 1;
        }
        assert!(taken > 0);
        nothing_to_do(&mut b, BACK, BACK + 11_000).await;
        // A window later all of them are available again, and no more.
        let mut again = 0;
        while b.store().await.take_token(at(BACK + 11_500), CallKind::Write).await.unwrap() == Token::Granted {
            again += 1;
        }
        assert_eq!(again, taken);
    }
}

/// How far the clock leaps ahead, for a minute: longer than anything is kept.
const AHEAD: u64 = 2 * STORY_KEEP_MS;

#[tokio::test]
async fn a_clock_that_leaps_ahead_for_a_minute_makes_nobody_forget() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.accept(at(LATE), &[("1", "x")]).await;
        let noted = Commit { story: vec!["a note".into()], document: Some("doc".into()), ..commit("1", idle()) };
        b.process(at(LATE), "1", noted).await;
        nothing_to_do(&mut b, LATE, LATE + 5_000).await;
        // Either a claim or `tidy` itself is the first to see the new time.
        for leap in [LATE + AHEAD, LATE + 2 * AHEAD] {
            for ms in (leap..leap + 60_000).step_by(1_000) {
                assert_eq!(b.store().await.tidy(at(ms)).await.unwrap(), 0, "{ms}");
                b.claim_none(at(ms)).await;
            }
            // Corrected: time stays ahead of the clock for long, and that does not count either.
            let right = LATE + 65_000;
            for ms in (right..right + 2 * 3_600_000).step_by(10_000) {
                assert_eq!(b.store().await.tidy(at(ms)).await.unwrap(), 0, "{ms}");
            }
        }
        assert_eq!(b.store().await.story(person("1").id()).await.unwrap().entries.len(), 1);
        // Outdated data is removed once the clock has advanced steadily for an hour.
        let then = LATE + STORY_KEEP_MS + 10_000;
        let mut forgotten = Vec::new();
        for ms in (then..then + 2 * 3_600_000).step_by(10_000) {
            if b.store().await.tidy(at(ms)).await.unwrap() > 0 {
                forgotten.push(ms - then);
            }
        }
        assert!(matches!(forgotten[..], [after] if (3_600_000..3_620_000).contains(&after)), "{forgotten:?}");
    }
}

#[tokio::test]
async fn a_clock_that_leaps_ahead_for_a_minute_gives_no_token_too_soon() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.with(|options| options.writes = Rate { calls: 10, window_ms: 10_000 }).await;
        let mut granted: Vec<u64> = Vec::new();
        // By a clock of the test's own: the server's clock is right for 20 s, ahead for a minute, and right again.
        for own in (0..140_000).step_by(100) {
            let clock = LATE + own + if (20_000..80_000).contains(&own) { AHEAD } else { 0 };
            if b.store().await.take_token(at(clock), CallKind::Write).await.unwrap() == Token::Granted {
                granted.push(own);
            }
        }
        for (n, from) in granted.iter().enumerate() {
            let in_window = granted[n..].iter().take_while(|token| **token <= from + 10_000).count();
            assert!(in_window <= 10, "{in_window} in the window from {from}: {granted:?}");
        }
        // And not far too few.
        assert!(granted.len() >= 120, "{granted:?}");
    }
}

/// Waiting is not a leap: a worker that asks as often as [`TOKEN_LOOK_MAX`] says gets a token when it is due.
#[tokio::test]
async fn a_worker_waiting_for_a_token_gets_it_when_due() {
    for keys in both() {
        let mut b = Bench::new(AsServer(keys), false).await;
        b.with(|options| options.writes = Rate { calls: 20, window_ms: 60_000 }).await;
        b.store().await.back_off(at(LATE), at(LATE + 60_000)).await.unwrap();
        let look_ms = u64::try_from(TOKEN_LOOK_MAX.as_millis()).unwrap();
        let (mut now, mut granted) = (LATE, Vec::new());
        while now < LATE + 360_000 {
            match b.store().await.take_token(at(now), CallKind::Write).await.unwrap() {
                Token::Granted => granted.push(now - LATE),
                Token::NotBefore(due) => now += due.ms_since(at(now)).clamp(1, look_ms),
            }
        }
        assert!((60_000..62_000).contains(&granted[0]), "{granted:?}");
        assert!(granted.len() >= 95, "five minutes at 20 a minute: {}", granted.len());
    }
}
