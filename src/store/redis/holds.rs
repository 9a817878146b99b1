//! Holds and tokens. An operator's holds are durable before they are told.

use super::claim::scope;
use super::link::Arg;
use super::reply::{Reply, unexpected};
use super::rows::word;
use super::{Redis, local, scripts};
use crate::core::code::Code;
use crate::core::hold::{Hold, HoldScope};
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;
use crate::store::{StoreError, Token};

impl Redis {
    pub(super) async fn take_one_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        let mut reply = Reply::of(self.run(&scripts::TAKE_TOKEN, now, vec![kind.as_str().into()]).await?)?;
        let not_before = reply.optional_time()?;
        let server_now = reply.time()?;
        Ok(not_before.map_or(Token::Granted, |at| Token::NotBefore(local(at, server_now, now))))
    }

    pub(super) async fn list_holds(&self) -> Result<Vec<Hold>, StoreError> {
        let reply = Reply::of(self.run(&scripts::HOLDS, UnixMs::default(), Vec::new()).await?)?;
        reply.lists().map(|one| hold(one?)).collect()
    }

    pub(super) async fn set_one_hold(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Hold, StoreError> {
        let args = vec![scope.as_str().into(), code.as_str().into()];
        hold(Reply::of(self.calls.run_durably(&scripts::SET_HOLD, now, args).await?)?)
    }

    /// Lifts the hold of a scope, or all; only where it is of that code, if one is given.
    pub(super) async fn lift_holds(
        &self,
        now: UnixMs,
        scope: Option<HoldScope>,
        code: Option<Code>,
    ) -> Result<Vec<Hold>, StoreError> {
        let scopes = [HoldScope::All, HoldScope::Creates].into_iter().filter(|one| scope.is_none_or(|s| s == *one));
        let mut args = vec![code.map_or("", Code::as_str).into()];
        args.extend(scopes.map(|scope| Arg::from(scope.as_str())));
        let reply = Reply::of(self.calls.run_durably(&scripts::LIFT_HOLD, now, args).await?)?;
        reply.lists().map(|one| hold(one?)).collect()
    }
}

fn hold(mut reply: Reply) -> Result<Hold, StoreError> {
    Ok(Hold {
        scope: scope(&reply.text()?)?,
        code: word(&reply.text()?).ok_or_else(|| unexpected("a hold's code"))?,
        since: reply.time()?,
        next_probe_at: reply.optional_time()?,
        probes: u32::try_from(reply.unsigned()?).unwrap_or(u32::MAX),
    })
}
