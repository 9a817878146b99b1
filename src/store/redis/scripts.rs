//! The scripts: one transition each, and what several of them share before it.

use std::collections::BTreeSet;

use super::link::Script;

/// What is sent besides the scripts' own commands and cannot be missed without harm being done in silence:
/// wake-ups that nobody hears. What else is sent is refused where it is sent.
const SENT: [&str; 2] = ["PING", "SUBSCRIBE"];

macro_rules! scripts {
    ($($name:ident: $(#$flags:ident)? $($part:literal)+;)+) => {
        $(
            pub(super) static $name: Script = Script::new(
                concat!(
                    $(flags!($flags),)?
                    include_str!("lua/prelude.lua"),
                    $(include_str!(concat!("lua/", $part, ".lua"))),+
                ),
                with_its_commands,
            );
        )+
        /// The text of all scripts but the one that opens the store.
        const ALL: &[&str] = &[$($(include_str!(concat!("lua/", $part, ".lua"))),+),+];
    };
}

/// A script's first line. `allow_oom`: it may write at `maxmemory`, because it frees memory, or ends or
/// leads to the end of what takes it. Without that, a full server would never become empty.
macro_rules! flags {
    (allow_oom) => {
        "#!lua flags=allow-oom\n"
    };
}

/// Opens the store, and looks at the rights that all scripts need.
pub(super) static OPEN: Script =
    Script::new(concat!(include_str!("lua/prelude.lua"), include_str!("lua/open.lua")), with_all_commands);

scripts! {
    ACCEPT: "write" "jobs" "lanes" "live" "enqueue" "seen" "accept";
    CLAIM: #allow_oom "jobs" "lanes" "limiter" "holds" "claim";
    RENEW: #allow_oom "jobs" "lanes" "holds" "renew";
    SETTLE: #allow_oom "write" "jobs" "lanes" "live" "holds" "settle";
    SETTLE_PROBE: #allow_oom "jobs" "lanes" "holds" "settle_probe";
    TAKE_TOKEN: #allow_oom "limiter" "take_token";
    BACK_OFF: #allow_oom "limiter" "back_off";
    SET_HOLD: #allow_oom "holds" "set_hold";
    LIFT_HOLD: #allow_oom "jobs" "lanes" "holds" "lift_hold";
    HOLDS: "holds" "holds_list";
    REPLAY: "write" "jobs" "lanes" "live" "dead_common" "replay";
    REPLAY_AS: "write" "jobs" "lanes" "live" "enqueue" "dead_common" "replay_as";
    DISCARD: #allow_oom "jobs" "lanes" "dead_common" "discard";
    TIDY: #allow_oom "write" "jobs" "live" "seen" "tidy";
    VIEW_IDS: "views" "view_ids";
    VIEW_LIST: "write" "live" "views" "view_list";
    VIEW_RUNNING: "view_running";
    VIEW_PERSON: "views" "view_person";
    STATS: "stats";
    ACTIVITY: "activity";
    ORIGIN: "origin";
    MAKE_ROOM: "make_room";
    EXPORT: "write" "live" "views" "seen" "export";
    IMPORT: "write" "jobs" "lanes" "live" "holds" "seen" "import";
}

/// A script that says in front which commands it calls.
fn with_its_commands(body: &str) -> String {
    with(&commands_in(body), body)
}

/// The same, with the commands of all scripts and of the link.
fn with_all_commands(body: &str) -> String {
    let mut commands = commands_in(body);
    commands.extend(ALL.iter().flat_map(|body| commands_in(body)));
    commands.extend(SENT);
    with(&commands, body)
}

fn with(commands: &BTreeSet<&str>, body: &str) -> String {
    let quoted: Vec<String> = commands.iter().map(|command| format!("'{command}'")).collect();
    let (flags, body) = match body.split_once('\n') {
        Some((flags, rest)) if flags.starts_with("#!") => (format!("{flags}\n"), rest),
        _ => (String::new(), body),
    };
    // On one line with the script's first, so that lines count as they do in the file.
    format!("{flags}local COMMANDS = {{ {} }} {body}", quoted.join(", "))
}

/// The commands that a script calls, by `call`, `pcall` or `write` (`lua/write.lua`).
fn commands_in(body: &str) -> BTreeSet<&str> {
    let after = |begin| body.split(begin).skip(1).filter_map(|rest: &str| rest.split('\'').next());
    after("call('").chain(after("write('")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_which_commands_it_calls() {
        let text = with_its_commands("return redis.pcall('PUBLISH', 'x') or call('HGET', 'y')");
        assert!(text.starts_with("local COMMANDS = { 'HGET', 'PUBLISH' } return "), "{text}");
        let all = with_all_commands("");
        assert!(["'ZADD'", "'PUBLISH'", "'SUBSCRIBE'"].iter().all(|command| all.contains(command)), "{all}");
    }

    #[test]
    fn every_command_is_called_by_its_name() {
        for body in ALL.iter().chain(&[include_str!("lua/prelude.lua"), include_str!("lua/open.lua")]) {
            // That one is given the names.
            if *body == include_str!("lua/write.lua") {
                continue;
            }
            let code = body.lines().filter(|line| !line.trim_start().starts_with("--"));
            let calls: usize = code.map(|line| line.matches("call(").count() + line.matches("write(").count()).sum();
            let named = body.matches("call('").count() + body.matches("write('").count();
            assert_eq!(calls, named, "a command whose name is not in the text cannot be found there");
        }
    }
}
