//! The scripts: one transition each, after a prelude that they share.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::keys::FIXED;
use super::link::Script;

/// Commands outside of scripts whose refusal would go unnoticed: there would be no wake-ups. The refusal of any other
/// command shows when it is sent.
const SENT: [&str; 2] = ["PING", "SUBSCRIBE"];
/// What `lua/read.lua` can read.
pub(super) const READS: [&str; 14] = [
    "GET", "GETRANGE", "HGET", "HGETALL", "HKEYS", "HMGET", "LRANGE", "LINDEX", "LLEN", "SMEMBERS", "ZCARD", "ZCOUNT",
    "ZRANGE", "ZRANK",
];

/// A script, and which of the fixed keys it takes.
pub(super) struct Transition {
    script: Script,
    body: &'static str,
    fixed: OnceLock<Vec<usize>>,
}

impl Transition {
    const fn new(body: &'static str, finish: fn(&str) -> String) -> Self {
        Self { script: Script::new(body, finish), body, fixed: OnceLock::new() }
    }

    pub(super) fn script(&self) -> &Script {
        &self.script
    }

    /// The places in [`FIXED`] of the keys that come first in its `KEYS`.
    pub(super) fn fixed(&self) -> &[usize] {
        self.fixed.get_or_init(|| fixed_in(self.body))
    }
}

macro_rules! scripts {
    ($($name:ident $($flag:literal)?: $($part:literal)+;)+) => {
        $(
            pub(super) static $name: Transition = Transition::new(
                concat!(
                    "#!lua", $(" flags=", $flag,)? "\n",
                    include_str!("lua/prelude.lua"),
                    $(include_str!(concat!("lua/", $part, ".lua"))),+
                ),
                with_its_commands,
            );
        )+
        /// The text of all scripts except the one that opens the store.
        const ALL: &[&str] = &[$($(include_str!(concat!("lua/", $part, ".lua"))),+),+];
    };
}

/// The second argument of [`OPEN`] if it may make the store; `prelude.lua` has the same text.
pub(super) const MAKE: &str = "make the store";

/// Opens the store, and checks the rights that all scripts need.
pub(super) static OPEN: Transition = Transition::new(
    concat!("#!lua\n", include_str!("lua/prelude.lua"), include_str!("lua/open.lua")),
    with_all_commands,
);

// `allow-oom`: may write at `maxmemory`, because it frees memory, or completes work that takes memory. Without it, a
// full server could never be emptied.
scripts! {
    ACCEPT: "lane" "dead_rows" "accept";
    CLAIM "allow-oom": "lane" "order" "claim";
    RENEW "allow-oom": "lane" "lease" "renew";
    COMMIT "allow-oom": "lane" "lease" "dead_rows" "parked" "commit";
    OWN "allow-oom": "lane" "lease" "own";
    RELEASE "allow-oom": "lane" "parked" "release";
    PUT "allow-oom": "lane" "put";
    LIMITER "allow-oom": "limiter";
    PUT_SHARED "allow-oom": "put_shared";
    REPLAY: "lane" "dead_rows" "replay";
    DISCARD "allow-oom": "dead_rows" "discard";
    ERASE "allow-oom": "lane" "dead_rows" "forget" "parked" "erase";
    END_LEASES "allow-oom": "lane" "end_leases";
    TIDY "allow-oom": "tidy";
    IMPORT: "lane" "dead_rows" "forget" "import";
    ACTIVITY: "activity";
    SCAN "no-writes": "scan";
    READ "no-writes": "read";
    LANES "no-writes": "lane" "order" "lanes";
}

/// A script preceded by the commands that it calls and the names of its keys.
fn with_its_commands(body: &str) -> String {
    with(&commands_in(body), body)
}

/// A script preceded by the commands of all scripts and of the link, and by the names of all keys.
fn with_all_commands(body: &str) -> String {
    let mut commands = commands_in(body);
    commands.extend(ALL.iter().flat_map(|body| commands_in(body)));
    commands.extend(SENT);
    commands.extend(READS);
    with(&commands, body)
}

fn with(commands: &BTreeSet<&str>, body: &str) -> String {
    let quoted: Vec<String> = commands.iter().map(|command| format!("'{command}'")).collect();
    let fixed = fixed_in(body);
    let names: Vec<&str> = fixed.iter().map(|place| FIXED[*place].0).collect();
    let (flags, rest) = body.split_once('\n').unwrap_or((body, ""));
    // On the same line as the script's first, so that line numbers match the files.
    format!(
        "{flags}\nlocal COMMANDS, FIXED = {{ {} }}, {} local {} = unpack(KEYS, 1, {}) {rest}",
        quoted.join(", "),
        fixed.len(),
        names.join(", "),
        fixed.len()
    )
}

/// The places in [`FIXED`] of the keys that a text names.
fn fixed_in(body: &str) -> Vec<usize> {
    let words: BTreeSet<&str> =
        code(body).flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect();
    (0..FIXED.len()).filter(|place| words.contains(FIXED[*place].0)).collect()
}

/// The commands that a script calls, by `call`, `pcall` or `try`.
fn commands_in(body: &str) -> BTreeSet<&str> {
    let after = |begin| body.split(begin).skip(1).filter_map(|rest: &str| rest.split('\'').next());
    after("call('").chain(after("try('")).collect()
}

/// The lines without comments.
fn code(body: &str) -> impl Iterator<Item = &str> {
    body.lines().filter(|line| !line.trim_start().starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_which_commands_it_calls_and_what_its_keys_are() {
        let text = with_its_commands("#!lua\nreturn redis.pcall('PUBLISH', WAKE) or try('HGET', CTL, 'DUE_X')");
        let head =
            "#!lua\nlocal COMMANDS, FIXED = { 'HGET', 'PUBLISH' }, 2 local CTL, WAKE = unpack(KEYS, 1, 2) return ";
        assert!(text.starts_with(head), "{text}");
        let all = with_all_commands("#!lua\n");
        assert!(
            ["'ZADD'", "'PUBLISH'", "'SUBSCRIBE'", "'SMEMBERS'"].iter().all(|command| all.contains(command)),
            "{all}"
        );
    }

    #[test]
    fn every_command_is_called_by_its_name() {
        for body in ALL.iter().chain(&[include_str!("lua/prelude.lua"), include_str!("lua/open.lua")]) {
            let lines = code(body).filter(|line| !line.contains("try(ARGV") && !line.contains("function try("));
            let lines = lines.filter(|line| !line.contains("pcall(struct") && !line.contains("pcall(command"));
            let (mut calls, mut named) = (0, 0);
            for line in lines {
                calls += line.matches("call(").count() + line.matches("try(").count();
                named += line.matches("call('").count() + line.matches("try('").count();
            }
            assert_eq!(calls, named, "a command whose name is not in the text cannot be found there");
        }
    }

    #[test]
    fn all_lua_together_stays_small() {
        let mut parts: BTreeSet<&str> = ALL.iter().copied().collect();
        parts.extend([include_str!("lua/prelude.lua"), include_str!("lua/open.lua")]);
        let lines: usize = parts.iter().map(|part| part.lines().count()).sum();
        assert!(lines < 1_060, "{lines} lines");
    }
}
