//! The scripts: one transition each, and what several of them share before it.

use super::link::Script;

macro_rules! scripts {
    ($($name:ident: $(#$flags:ident)? $($part:literal)+;)+) => {
        $(
            pub(super) static $name: Script = Script::new(concat!(
                $(flags!($flags),)?
                include_str!("lua/prelude.lua"),
                $(include_str!(concat!("lua/", $part, ".lua"))),+
            ));
        )+
    };
}

/// A script's first line. `allow_oom`: it may write at `maxmemory`, because it frees memory, or ends or
/// leads to the end of what takes it. Without that, a full server would never become empty.
macro_rules! flags {
    (allow_oom) => {
        "#!lua flags=allow-oom\n"
    };
}

scripts! {
    OPEN: "open";
    ACCEPT: "jobs" "lanes" "live" "enqueue" "seen" "accept";
    CLAIM: #allow_oom "jobs" "lanes" "limiter" "holds" "claim";
    RENEW: #allow_oom "jobs" "lanes" "holds" "renew";
    SETTLE: #allow_oom "jobs" "lanes" "live" "holds" "settle";
    SETTLE_PROBE: #allow_oom "jobs" "lanes" "holds" "settle_probe";
    TAKE_TOKEN: #allow_oom "limiter" "take_token";
    BACK_OFF: #allow_oom "limiter" "back_off";
    SET_HOLD: #allow_oom "holds" "set_hold";
    LIFT_HOLD: #allow_oom "jobs" "lanes" "holds" "lift_hold";
    HOLDS: "holds" "holds_list";
    REPLAY: "jobs" "lanes" "live" "dead_common" "replay";
    REPLAY_AS: "jobs" "lanes" "live" "enqueue" "dead_common" "replay_as";
    DISCARD: #allow_oom "jobs" "lanes" "dead_common" "discard";
    TIDY: #allow_oom "jobs" "live" "seen" "tidy";
    PING: "ping";
    VIEW_IDS: "views" "view_ids";
    VIEW_LIST: "live" "views" "view_list";
    VIEW_RUNNING: "view_running";
    VIEW_PERSON: "views" "view_person";
    STATS: "stats";
}
