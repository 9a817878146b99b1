//! The limiters that all workers share: judged here, written if nobody else was quicker.

use std::sync::atomic::Ordering;

use super::link::Arg;
use super::{Redis, local, scripts};
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;
use crate::store::tokens::Tats;
use crate::store::{StoreError, Token};

impl Redis {
    pub(super) async fn take_one_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        let options = &self.calls.options;
        let (token, server_now) = self.move_tats(now, |tats, server_now| tats.take(options, server_now, kind)).await?;
        Ok(match token {
            Token::Granted => Token::Granted,
            Token::NotBefore(at) => Token::NotBefore(local(at, server_now, now)),
        })
    }

    pub(super) async fn back_off_until(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        let options = &self.calls.options;
        self.move_tats(now, |tats, server_now| tats.back_off(options, local(until, now, server_now))).await?;
        Ok(())
    }

    pub(super) async fn pause_end(&self, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        let options = &self.calls.options;
        let (until, server_now) =
            self.move_tats(now, |tats, server_now| tats.paused_until(options, server_now)).await?;
        Ok(until.map(|until| local(until, server_now, now)))
    }

    /// Moves the state, and returns the verdict and when it was made, by the server's clock. If another process was
    /// quicker, it has moved the state: so nobody has to retry for long.
    async fn move_tats<T>(
        &self,
        now: UnixMs,
        judge: impl Fn(&mut Tats, UnixMs) -> T,
    ) -> Result<(T, UnixMs), StoreError> {
        let mut args: Vec<Arg<'_>> = Vec::new();
        let mut judged = None;
        loop {
            let mut reply = self.calls.run(&scripts::LIMITER, now, Vec::new(), args).await?;
            let server_now = UnixMs(reply.number()?.div_euclid(1_000));
            let before = Tats { writes_us: reply.number()?, reads_us: reply.number()? };
            if reply.number()? == 1
                && let Some(judged) = judged.take()
            {
                return Ok((judged, server_now));
            }
            let mut tats = before;
            let result = judge(&mut tats, server_now);
            if tats == before {
                return Ok((result, server_now));
            }
            judged = Some(result);
            args = [before.writes_us, before.reads_us, tats.writes_us, tats.reads_us].map(Arg::from).into();
        }
    }

    /// The last `now` that a caller gave, for calls that are given none.
    pub(super) fn last_known_now(&self) -> UnixMs {
        UnixMs(self.calls.last_now.load(Ordering::Relaxed))
    }
}
