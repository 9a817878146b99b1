//! Captured deliveries, as an operator switches them on, looks at them, and switches them off.

use super::error::AdminError;
use super::service::{AdminState, Noted};
use super::shared;
use super::tokens::Actor;
use crate::core::audit::Act;
use crate::core::capture::{Capture, Captures, DOCUMENT, Order};
use crate::core::person::SourceName;

impl AdminState {
    /// What is captured, and what was.
    pub async fn captures(&self) -> Result<Captures, AdminError> {
        let mut captures: Captures = shared::read(&*self.store, DOCUMENT).await?;
        captures.tidy(self.now());
        Ok(captures)
    }

    /// Captures a source from now on.
    pub async fn switch_capture_on(&self, by: &Actor, source: &str, keep: usize) -> Result<Order, AdminError> {
        if !self.source_names().any(|known| known.as_str() == source) {
            return Err(AdminError::NotFound("source"));
        }
        let now = self.now();
        let change = |captures: &mut Captures| Some(captures.switch_on(now, source, keep));
        let order = shared::update(&*self.store, DOCUMENT, change).await?;
        let order = order.ok_or(AdminError::Internal("a capture that was switched on is not there"))?;
        let count = u64::try_from(order.keep).ok();
        self.note(by, Act::CaptureOn, Noted { target: source, count, reason: None }).await?;
        Ok(order)
    }

    /// Stops capturing a source, and deletes what was captured. Returns how many deliveries that were.
    pub async fn switch_capture_off(&self, by: &Actor, source: &str) -> Result<usize, AdminError> {
        let change = |captures: &mut Captures| captures.switch_off(source);
        let Some(forgotten) = shared::update(&*self.store, DOCUMENT, change).await? else {
            // Of a source that is not configured any more, there may be some.
            let is_known = self.source_names().any(|known| known.as_str() == source);
            return if is_known { Ok(0) } else { Err(AdminError::NotFound("source")) };
        };
        let count = u64::try_from(forgotten).ok();
        self.note(by, Act::CaptureOff, Noted { target: source, count, reason: None }).await?;
        Ok(forgotten)
    }

    /// Deletes what was captured from a source: only reading a body would show whom it is about.
    pub(super) async fn forget_captures(&self, source: &SourceName) -> Result<(), AdminError> {
        let now = self.now();
        let forget = |captures: &mut Captures| captures.forget(now, source.as_str()).then_some(());
        shared::update(&*self.store, DOCUMENT, forget).await?;
        Ok(())
    }

    /// One captured delivery in full. Not for read-only tokens, since it contains what HR sent; the audit log records
    /// who looked.
    pub async fn capture(&self, by: &Actor, id: &str) -> Result<Capture, AdminError> {
        if !by.may_write() {
            return Err(AdminError::ReadOnly);
        }
        let captures = self.captures().await?;
        let capture = captures.taken.into_iter().find(|capture| capture.id == id);
        let capture = capture.ok_or(AdminError::NotFound("captured delivery"))?;
        self.note(by, Act::ShowCapture, Noted::of(id)).await?;
        Ok(capture)
    }
}
