//! Places at which tests make a part of the process fail. They are in debug builds, which is what tests run, and with
//! the feature `failpoints` in release builds, too. In what is shipped [`at`] is nothing.
//!
//! The environment variable `FAILPOINTS` says what happens where: `place=panic`, `place=2*panic` (the first two
//! times), `place=stall` (the thread stalls), with semicolons between several. `patience=MS` makes a loop that
//! stalls count as hanging after this many milliseconds, instead of minutes.

use std::time::Duration;

/// A place that can be made to fail.
#[cfg(not(any(debug_assertions, feature = "failpoints")))]
#[inline]
pub fn at(_place: &str) {}

/// A place that can be made to fail.
///
/// # Panics
/// If that was requested.
#[cfg(any(debug_assertions, feature = "failpoints"))]
pub fn at(place: &str) {
    use std::collections::BTreeMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    /// What is left to do at each place: what, and how often.
    static ORDERS: LazyLock<Mutex<BTreeMap<String, (u32, String)>>> = LazyLock::new(|| Mutex::new(ordered()));

    let order = {
        let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let left = orders.get_mut(place).filter(|(times, _)| *times > 0);
        left.map(|(times, what)| {
            *times -= 1;
            what.clone()
        })
    };
    match order.as_deref() {
        Some("stall") => std::thread::sleep(Duration::from_hours(1)),
        Some(_) => panic!("failpoint {place}"),
        None => {}
    }
}

/// How long a loop may stall.
#[cfg(not(any(debug_assertions, feature = "failpoints")))]
#[inline]
#[must_use]
pub fn patience(usual: Duration) -> Duration {
    usual
}

/// How long a loop may stall: as usual, unless requested otherwise.
#[cfg(any(debug_assertions, feature = "failpoints"))]
#[must_use]
pub fn patience(usual: Duration) -> Duration {
    let ordered = ordered().remove("patience").and_then(|(_, ms)| ms.parse().ok());
    ordered.map_or(usual, Duration::from_millis)
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
fn ordered() -> std::collections::BTreeMap<String, (u32, String)> {
    #[expect(clippy::disallowed_methods, reason = "what a test orders is not configuration")]
    let text = std::env::var("FAILPOINTS").unwrap_or_default();
    let order = |one: &str| {
        let (place, what) = one.split_once('=')?;
        let (times, what) = what.split_once('*').map_or((u32::MAX, what), |(n, what)| (n.parse().unwrap_or(1), what));
        Some((place.trim().to_owned(), (times, what.trim().to_owned())))
    };
    text.split(';').filter_map(order).collect()
}
