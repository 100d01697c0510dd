//! The error of the checks, and the calls that turn a panic into it.

use std::{
    any::Any,
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A rule of a contract, and how an implementation breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation<R> {
    /// The rule. Its `Display` states what the contract requires.
    pub rule: R,
    /// The call, and what it did instead.
    pub detail: String,
}

impl<R> Violation<R> {
    pub(super) fn new(rule: R, detail: impl Into<String>) -> Self {
        Self { rule, detail: detail.into() }
    }
}

impl<R: fmt::Display> fmt::Display for Violation<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rule \"{}\" is broken: {}", self.rule, self.detail)
    }
}

impl<R: fmt::Display + fmt::Debug> Error for Violation<R> {}

/// Returns what `call` returns, or a violation of `rule` if it panics. `what` describes the call.
pub(super) fn without_panic<T, R>(
    rule: R,
    what: impl fmt::Display,
    call: impl FnOnce() -> T,
) -> Result<T, Violation<R>> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|payload| Violation::new(rule, format!("{what} panics: {}", message(&*payload))))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
