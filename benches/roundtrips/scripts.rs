//! The scripts, and calls of them.

use data_encoding::HEXLOWER;
use deadpool_redis::redis::{self, Cmd};
use scim_bridge::clock::new_job_id;
use sha1::{Digest, Sha1};

const PRELUDE: &str = include_str!("../../src/store/redis/lua/prelude.lua");
const SHARED: &str = concat!(
    include_str!("../../src/store/redis/lua/jobs.lua"),
    include_str!("../../src/store/redis/lua/lanes.lua"),
    include_str!("../../src/store/redis/lua/live.lua"),
    include_str!("../../src/store/redis/lua/enqueue.lua"),
);
const ACCEPT: &str = include_str!("../../src/store/redis/lua/accept.lua");
const SEVERAL: &str = include_str!("several.lua");
/// For each delivery its number of arguments and these: as if it were called for it alone.
const LOOP: &str = "
local answers, all, at = {}, ARGV, 9
while at <= #all do
  local count = tonumber(all[at])
  local own = { unpack(all, 1, 8) }
  for n = 1, count do own[8 + n] = all[at + n] end
  answers[#answers + 1] = accept(own)
  at = at + count + 1
end
return answers
";
/// What every script is given (see `prelude.lua`): the server's clock, no limits, pauses, a bound.
const COMMON: [i64; 8] = [0, 0, 0, 0, 0, 30_000, 300_000, 100_000];
const REMEMBER_MS: i64 = 604_800_000;
const HIGH_WATER_JOBS: i64 = 1_000_000_000;

/// A script, and its keys.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) text: String,
    sha: String,
    keys: Vec<String>,
}

impl Script {
    /// `accept.lua`.
    pub(crate) fn one() -> Self {
        Self::new(ACCEPT)
    }

    /// The same, in a loop.
    pub(crate) fn looped() -> Self {
        Self::new(&format!("local function accept(ARGV)\n{ACCEPT}\nend\n{LOOP}"))
    }

    /// `several.lua`.
    pub(crate) fn grouped() -> Self {
        Self::new(SEVERAL)
    }

    fn new(own: &str) -> Self {
        let text = format!("{PRELUDE}{SHARED}{own}");
        let names = PRELUDE.split_once("local SCHEMA").and_then(|(_, rest)| rest.split_once("= unpack(KEYS)"));
        let names = names.map_or("", |(names, _)| names);
        let keys = format!("SCHEMA{names}").split(',').map(|name| format!("{{bench}}:{}", name.trim())).collect();
        Self { sha: HEXLOWER.encode(&Sha1::digest(&text)), text, keys }
    }

    /// A call for one delivery.
    pub(crate) fn call(&self, hire: &Hire) -> Cmd {
        let mut cmd = self.begin();
        hire.add(&mut cmd);
        cmd
    }

    /// A call for several.
    pub(crate) fn call_for<'a>(&self, hires: impl Iterator<Item = &'a Hire>) -> Cmd {
        let mut cmd = self.begin();
        for hire in hires {
            cmd.arg(Hire::ARGS);
            hire.add(&mut cmd);
        }
        cmd
    }

    fn begin(&self) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.sha).arg(self.keys.len());
        for key in &self.keys {
            cmd.arg(key);
        }
        for common in COMMON {
            cmd.arg(common);
        }
        cmd
    }
}

/// How many jobs there are.
pub(crate) fn count_jobs() -> Cmd {
    let mut cmd = redis::cmd("HLEN");
    cmd.arg("{bench}:JOB");
    cmd
}

/// A delivery that tells of a hire.
pub(crate) struct Hire {
    key: [u8; 16],
    id: [u8; 16],
    person: String,
    event: String,
}

impl Hire {
    const ARGS: usize = 10;

    pub(crate) fn of(n: usize) -> Self {
        // Spread as a hash would be.
        let spread = (n as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let person = format!("hr/E-{n:08}");
        let event = serde_json::json!({
            "person": &person,
            "change": { "hire": {
                "email": format!("person{n:08}@example.com"),
                "names": { "given": "Ada", "family": "Lovelace" },
            }},
            "occurred_at": 1_800_000_000_000_u64,
        });
        Self { key: spread.to_be_bytes(), id: new_job_id().0.to_be_bytes(), person, event: event.to_string() }
    }

    /// As `accept.lua` reads it.
    fn add(&self, cmd: &mut Cmd) {
        cmd.arg(self.key.as_slice()).arg([0_u8; 16].as_slice()).arg(REMEMBER_MS).arg(HIGH_WATER_JOBS).arg("hr").arg(1);
        cmd.arg(self.id.as_slice()).arg("h").arg(&self.person).arg(&self.event);
    }
}
