//! The result of planning: the next step.

use super::conclusion::Conclusion;
use super::request::Request;
use crate::core::code::Code;

/// The next step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Make this call.
    Send(Request),
    /// Claim a member or an address for the person, by these keys (`owner::id_key`, `owner::address_key`): all or none.
    Own(Vec<String>),
    /// The attempt has ended.
    Finish(Conclusion),
}

pub(super) fn finish(conclusion: Conclusion) -> Step {
    Step::Finish(conclusion)
}

pub(super) fn blocked(code: Code, detail: &str) -> Step {
    finish(Conclusion::Blocked { code, detail: detail.to_owned(), wants: None })
}
