//! File descriptors: how many the process may have, and how they are shared out.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept free for everything except the public listener: the admin listener's connections, the store's
/// files and connections, calls to the target, secret files.
const KEPT_FREE: usize = 384;

/// Raises the soft limit of descriptors to the hard one; returns the new limit.
#[must_use]
pub fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    now.and_then(|descriptors| usize::try_from(descriptors).ok()).unwrap_or(usize::MAX)
}

/// How many connections of the public listener fit under a limit of descriptors: what is left after the rest of the
/// process has its share, or half of a limit that is too small for that.
#[must_use]
pub fn connections_under(limit: usize) -> usize {
    limit.saturating_sub(KEPT_FREE).max(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_process_keeps_descriptors_of_its_own() {
        assert_eq!(connections_under(20_000), 19_616);
        assert_eq!(connections_under(1_024), 640);
        assert_eq!(connections_under(256), 128);
        assert_eq!(connections_under(usize::MAX), usize::MAX - 384);
    }
}
