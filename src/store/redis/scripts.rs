//! The scripts: one transition each, and what several of them share before it.

use super::link::Script;

macro_rules! scripts {
    ($($name:ident: $($part:literal)+;)+) => {
        $(
            pub(super) static $name: Script =
                Script::new(concat!(include_str!("lua/prelude.lua"), $(include_str!(concat!("lua/", $part, ".lua"))),+));
        )+
    };
}

scripts! {
    OPEN: "open";
    ACCEPT: "write" "jobs" "lanes" "live" "enqueue" "seen" "accept";
    CLAIM: "jobs" "lanes" "limiter" "holds" "claim";
    RENEW: "jobs" "lanes" "holds" "renew";
    SETTLE: "write" "jobs" "lanes" "live" "holds" "settle";
    SETTLE_PROBE: "jobs" "lanes" "holds" "settle_probe";
    TAKE_TOKEN: "limiter" "take_token";
    BACK_OFF: "limiter" "back_off";
    SET_HOLD: "holds" "set_hold";
    LIFT_HOLD: "jobs" "lanes" "holds" "lift_hold";
    HOLDS: "holds" "holds_list";
    REPLAY: "write" "jobs" "lanes" "live" "dead_common" "replay";
    REPLAY_AS: "write" "jobs" "lanes" "live" "enqueue" "dead_common" "replay_as";
    DISCARD: "jobs" "lanes" "dead_common" "discard";
    TIDY: "write" "jobs" "live" "seen" "tidy";
    PING: "ping";
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
