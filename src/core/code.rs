//! The stable codes of everything that can be wrong: the same in logs, console, answers and
//! `docs/failures.md`, each with a line on what it is and one on what to do.

/// Makes an enum of stable codes: each with how it is written, what it means and what to do.
macro_rules! codes {
    ($(#[$doc:meta])* $codes:ident { $($name:ident = $text:literal, $title:literal, $advice:literal;)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub enum $codes {
            $(
                #[doc = $title]
                #[serde(rename = $text)]
                $name,
            )*
        }

        impl $codes {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is written everywhere.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it means, in a line.
            #[must_use]
            pub fn title(self) -> &'static str {
                $crate::core::target_name::said(match self { $(Self::$name => $title,)* })
            }

            /// What to do about it, in a line.
            #[must_use]
            pub fn advice(self) -> &'static str {
                $crate::core::target_name::said(match self { $(Self::$name => $advice,)* })
            }
        }

        impl std::fmt::Display for $codes {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// The stable code of anything that can happen to a job.
    Code {
    // The job's own trouble: dead letters.
    ScimSyntax = "SCIM-400-SYNTAX",
        "Postman finds the request incomplete or with unsupported characters.",
        "Correct the person's name or e-mail in the HR system, whose next event heals this; or replay.";
    ScimUsername = "SCIM-400-USERNAME",
        "Postman could not update this member's username in several tries.",
        "Look at the member in Postman's team settings; replay when they look right.";
    ScimNotAllowed = "SCIM-403-NOT-ALLOWED",
        "The admin who created the key may not change this member.",
        "Change the member by hand, or use a key of an admin with more rights; then replay.";
    ScimNotMember = "SCIM-404-NOT-MEMBER",
        "This person is no longer a member: somebody removed them at Postman.",
        "If they should be in the team, have HR send the hire again, which heals this. If not, discard.";
    ScimElsewhere = "SCIM-409-ELSEWHERE",
        "Postman says that the person is a member already, but no look-up finds them in this team.",
        "The account belongs to another team: have it removed there or invite another address; then replay.";
    ScimAmbiguous = "SCIM-AMBIGUOUS",
        "Several members' userNames differ from the person's e-mail only in case.",
        "Remove the surplus member in Postman, then replay.";
    ScimInvited = "SCIM-INVITED",
        "This person has left, or has another address, and an invitation may be open: Postman has never shown them as a member.",
        "Withdraw the invitation in Postman's team settings, then discard; under a new address, HR's next hire invites them. If they have joined meanwhile, replay.";
    ScimLookUp = "SCIM-LOOK-UP",
        "This person has left, and not all members could be searched to find them.",
        "See the detail: raise `[postman] look_up_pages_max`, or look for them in Postman's team settings; then replay.";
    ScimRejected = "SCIM-4XX",
        "Postman refuses this request for an undocumented reason.",
        "Read the status in the dead letter's history; correct the cause, then replay.";
    ScimGaveUp = "SCIM-GAVE-UP",
        "Every attempt failed for longer than `[retry] give_up_after_h`, although Postman serves others.",
        "See the history for the last error; correct the cause, then replay.";
    JobPoison = "JOB-POISON",
        "Several workers in a row stopped while working on this person.",
        "Look for crashes or out-of-memory kills in the logs at the times in the history; then replay.";
    ScimOwned = "SCIM-OWNED",
        "The member belongs to another employee.",
        "See both employees in the dead letter. If the other one has left, rename or remove their account in Postman's team settings, then replay; else correct the address of one of them in the HR system, whose next event heals this.";
    ScimAddress = "SCIM-ADDRESS",
        "Postman does not accept the new address for this member; names are still applied.",
        "If the detail says that another account has the address, rename or remove that account in Postman's team settings; else verify the address' domain there, or change the address by hand. Then replay.";
    ScimAddressDiffers = "SCIM-ADDRESS-DIFFERS",
        "HR names another address for this member, and `[postman] email_change = \"report\"` leaves the change to you.",
        "Change the address in Postman's team settings, or set `email_change = \"apply\"`; then replay.";
    ScimDoubt = "SCIM-DOUBT",
        "The member under the known id has an address that neither HR nor the bridge has given them.",
        "Look at the member in Postman's team settings; correct the address there or in the HR system, then replay.";
    ScimNotApplied = "SCIM-NOT-APPLIED",
        "Postman answers again and again that a change was made, but does not show it.",
        "Look at the member in Postman's team settings; replay when they can be changed.";
    ScimGroup = "SCIM-GROUP",
        "Postman does not add this member to a group, or remove them from one; everything else about them is up to date.",
        "See the detail; look at the group in Postman, or at `[[group]]`, then replay.";
    ScimUnreadableMember = "SCIM-MEMBER-UNREADABLE",
        "The member cannot be read well enough to be written without harm.",
        "See the story for what Postman answers; correct the cause, then replay.";
    JobCollision = "JOB-COLLISION",
        "Two employees have the same number in the store, and the first one keeps it.",
        "Give this employee another id in the HR system.";
    // A delivery or record that could not be mapped: dead letters too.
    MapNotJson = "MAP-NOT-JSON",
        "The delivery is genuine, but its body is not JSON.",
        "Set the webhook's format to JSON in the HR system; discard this one.";
    MapShape = "MAP-SHAPE",
        "The delivery is JSON, but not of the shape that the source's mapping expects.",
        "Compare with `scim-bridge explain`; correct `[source.mapping]`, then replay.";
    MapField = "MAP-FIELD",
        "A field that this event needs is missing or malformed.",
        "Correct the mapping and replay, or correct the person in the HR system: its next event ends a dead letter about an address or names if the rest is in effect; discard any other.";
    // Reading at an HR system, for its thin webhooks.
    FetchNotFound = "FETCH-404",
        "The HR system sent a notice about an employee whom its API does not know.",
        "See whether the key under `[source.fetch]` may see everybody; replay. If they are gone and in Postman, have HR send their leave, or import a roster that says so: nobody is switched off by a discard. If they never were in Postman, discard.";
    FetchOtherPerson = "FETCH-OTHER-PERSON",
        "The HR system's API answered with another employee's record than the one asked for.",
        "Look for a cache or a proxy that answers instead, or for another kind of id in the webhook; then replay.";
    FetchUnreadable = "FETCH-UNREADABLE",
        "The HR system's answer cannot be used: it is not JSON, cut off, or too long.",
        "It is tried again a few times. Check `[source.fetch] base_url`, and proxies on the way there; then replay.";
    FetchRefused = "FETCH-4XX",
        "The HR system's API refuses the read of this employee, or answers with an error.",
        "It is tried again a few times. See the story for the status; correct the key's rights or the fetch's rules, then replay.";
    FetchUnavailable = "FETCH-5XX",
        "The HR system's API had an error of its own.",
        "Nothing: it is tried again. If it lasts, see the HR system's status page.";
    FetchUnreachable = "FETCH-UNREACHABLE",
        "The HR system's API could not be reached, or did not answer in time.",
        "Check `[source.fetch] base_url`, DNS, proxy and egress rules; it is tried again automatically.";
    FetchRateLimited = "FETCH-429",
        "The HR system says that its rate limit is reached.",
        "Nothing: the people of this source wait for as long as it says.";
    FetchPaced = "FETCH-PACED",
        "Reads at the HR system wait for their turn: it allows only so many a minute.",
        "Nothing: each read is made in turn.";
    FetchMissing = "FETCH-MISSING",
        "A webhook asks for a read at the HR system, and the source has no `[source.fetch]`.",
        "Give the source a `[source.fetch]` with what its preset needs, restart, then replay.";
    FetchList = "FETCH-LIST",
        "The HR system's list of everybody is incomplete, or has no end.",
        "Nothing was staged. Ask for it again with `scim-bridge import --fetch`; if it stays incomplete, import an exported file.";
    // Tried again: temporary trouble of the target or the network.
    ScimUnavailable = "SCIM-5XX",
        "Postman had an error of its own.",
        "Nothing: it is tried again. If it lasts, see Postman's status page.";
    ScimUnreachable = "SCIM-UNREACHABLE",
        "No connection to Postman could be made.",
        "Check `[postman] base_url`, DNS, proxy and egress rules; it is tried again automatically.";
    ScimUnknownOutcome = "SCIM-UNKNOWN",
        "The connection broke or timed out after the request was sent, so its effect is unknown.",
        "Nothing: the next attempt looks first, and repeats only what is missing.";
    ScimUnreadable = "SCIM-UNREADABLE",
        "The reply is not what SCIM promises (not JSON, cut off, or without the fields needed).",
        "If it lasts: something between here and Postman answers in its place. Check `[postman] base_url`.";
    ScimLag = "SCIM-LAG",
        "A read does not yet show what was written a moment ago.",
        "Nothing: it is looked at again. If it lasts, see `[postman] read_lag_s`.";
    ScimMoving = "SCIM-MOVING",
        "The address still belongs to an employee who is about to give it up: HR has given them another one, or they leave.",
        "Nothing: it is tried again once that employee's member has the new address, or is switched off. If a hold keeps them, look at that.";
    ScimRefused = "SCIM-REFUSED",
        "Postman refuses this request for an undocumented reason; it may pass.",
        "Nothing: it is tried again. If others are refused, too, it becomes a hold; if only this one is, a dead letter.";
    ScimRateLimited = "SCIM-429",
        "Postman says that its rate limit is reached.",
        "Nothing: all workers wait. If it recurs, something else uses the team's SCIM limit: lower `writes_per_minute`.";
    // The target refuses everything: holds.
    HoldKey = "HOLD-KEY",
        "Postman does not accept the SCIM API key (401).",
        "Put a valid SCIM key where `[postman] key` points; work resumes automatically.";
    HoldAdminLeft = "HOLD-ADMIN-LEFT",
        "The key was created by an admin who has left the team (403).",
        "Have a current Team Admin create a SCIM key, and put it where `[postman] key` points.";
    HoldPlan = "HOLD-PLAN",
        "The Postman team is not on the Enterprise plan, which SCIM needs.",
        "Upgrade the plan; work resumes automatically.";
    HoldTeamGone = "HOLD-TEAM-GONE",
        "Postman says that this team does not exist any more.",
        "Use a key of the right team.";
    HoldSeats = "HOLD-SEATS",
        "No free seats are left on the Postman team: hires wait, updates and leaves go on.",
        "Buy or free seats; hires resume automatically.";
    HoldRefused = "HOLD-REFUSED",
        "Postman, or something in front of it, refuses us for an undocumented reason.",
        "Look at `[postman] base_url`, the key, the plan, SCIM in the team settings, and proxies; try `scim-bridge check`.";
    HoldReadOnly = "HOLD-WRITES",
        "Postman serves reads and refuses every write: a read-only key, or maintenance.",
        "Run `scim-bridge check`; give `[postman] key` a SCIM key that may write. Work resumes automatically.";
    HoldQuota = "HOLD-QUOTA",
        "Postman asks for a pause of more than an hour: a quota is used up.",
        "See the team's usage in Postman; work resumes automatically at the time that Postman gave.";
    HoldGuard = "HOLD-GUARD",
        "More people would be switched off, or get another address, than `[guard]` allows.",
        "Look at who waits. If HR is right, let that many through: `scim-bridge hold allow deactivations N` (or `addresses`); `hold lift --scope deactivations` lets through only what the window still allows.";
    HoldFetch = "HOLD-FETCH",
        "The HR system's API refuses to be read: the people of this source wait, others go on.",
        "See what it answers: for 401 or a missing token, correct the credentials under `[source.fetch]` of this source; for 403, give that login the right to read people; for anything else, correct `base_url`. Work resumes automatically.";
    HoldRedirect = "HOLD-REDIRECT",
        "The SCIM address answers with a redirect, which is not followed.",
        "Set `[postman] base_url` to the address that answers directly.";
    HoldOperator = "HOLD-OPERATOR",
        "An operator set this hold.",
        "Lift it with `scim-bridge hold lift` when ready; it is never lifted automatically.";
    HoldCopied = "HOLD-COPIED",
        "This store's content was copied to another store, which now takes over: nothing is applied here any more.",
        "Serve the other store. To go on with this one after all, stop the other for good, then `scim-bridge hold lift`.";
    HoldUnreadable = "HOLD-UNREADABLE",
        "This version cannot read a hold that is in the store, so everything that it may cover waits.",
        "If a newer version set it, run that one again. Or make sure that work may go on, and lift it by its scope: `scim-bridge hold lift --scope SCOPE`.";
    // The store cannot serve: webhooks are answered 503, workers wait, nothing is lost.
    StoreUnreachable = "STORE-UNREACHABLE",
        "No connection to Redis could be made.",
        "Check `[store] url`, DNS, network policies, and that Redis runs; it is tried again automatically.";
    StoreTimeout = "STORE-TIMEOUT",
        "Redis did not answer in time.",
        "See whether Redis is overloaded, stopped or swapping; it is tried again automatically.";
    StoreLost = "STORE-LOST",
        "The connection to Redis broke before the answer, so the effect of the command is unknown.",
        "Nothing: another connection is made, and what is repeated takes effect once.";
    StoreTls = "STORE-TLS",
        "The TLS handshake with Redis failed.",
        "Check `[store] ca_file`, `cert_file`, `key_file`, and that the certificate names the host in the URL.";
    StorePlain = "STORE-PLAIN",
        "Redis is on another host, and would be reached without TLS.",
        "Give a `[store] url` that begins with `rediss`, or set `[store] allow_plain = true` where the network is your own.";
    StoreAuth = "STORE-AUTH",
        "Redis does not accept the user or the password.",
        "Correct `[store] username` and `password` (or those in the URL); a secret file is re-read automatically.";
    StoreNoPerm = "STORE-NOPERM",
        "The Redis user lacks a permission.",
        "Give the user the rights that docs/redis.md lists.";
    StoreReadOnly = "STORE-READONLY",
        "This Redis is a replica and takes no writes, as after a fail-over.",
        "Nothing with Sentinel or Cluster: the bridge finds the new primary. Otherwise, point `[store] url` at the primary.";
    StoreNoPrimary = "STORE-NO-PRIMARY",
        "No primary is known that could take writes.",
        "Bring Redis, Sentinel or the cluster back to health; it is tried again automatically.";
    StoreResharding = "STORE-RESHARDING",
        "The cluster is moving the bridge's keys to another node.",
        "Nothing: work goes on when the slot has been moved.";
    StoreCrossSlot = "STORE-CROSSSLOT",
        "A proxy or the cluster sees keys of several slots in one command.",
        "Point `[store] url` at the cluster's own nodes, as `redis-cluster://`.";
    StoreLoading = "STORE-LOADING",
        "Redis is starting and still reading its data.",
        "Nothing: work goes on when the data is loaded.";
    StoreBusy = "STORE-BUSY",
        "A script keeps Redis busy.",
        "If it lasts: find who runs the script, and have `SCRIPT KILL` end it.";
    StoreMemory = "STORE-MEMORY",
        "Redis has reached `maxmemory` and refuses writes.",
        "Give it more memory, or remove other data from it; work resumes automatically.";
    StoreDisk = "STORE-DISK",
        "Redis cannot write to its disk, and so refuses writes.",
        "Free space on its disk, or repair it; work resumes automatically.";
    StoreClients = "STORE-CLIENTS",
        "Redis has reached `maxclients`.",
        "Raise `maxclients`, or find who holds so many connections.";
    StoreReplicas = "STORE-REPLICAS",
        "Too few replicas are connected to this primary (`min-replicas-to-write`).",
        "Bring the replicas back; work resumes automatically.";
    StoreNotDurable = "STORE-NOT-DURABLE",
        "A write did not reach as many disks in time as `[store] durability` asks.",
        "Check the disks and replicas of Redis; the sender tries again, and a stored delivery is recognised.";
    StoreNoWaitaof = "STORE-NO-WAITAOF",
        "`[store] durability` needs `WAITAOF`, which this Redis does not have.",
        "Run Redis 7.2 or later, or any Valkey; or set `durability = \"written\"` and know what that means (docs/redis.md).";
    StoreEverysec = "STORE-EVERYSEC",
        "`[store] durability` waits for disks, and this server answers `WAITAOF` before it has flushed.",
        "Set `appendfsync always` on it and its replicas, or run Redis 8 or later; for trials only, `[store] insecure_ok = true`.";
    StoreMinReplicas = "STORE-MIN-REPLICAS",
        "`[store] durability = \"replicated\"`, and this primary takes writes although no replica is connected.",
        "Set `min-replicas-to-write 1` (and `min-replicas-max-lag 10`) on it and its replicas: `CONFIG SET` each, and in redis.conf; for trials only, `[store] insecure_ok = true`.";
    StoreEmptied = "STORE-EMPTIED",
        "The store was emptied or replaced while the bridge was running: what was known, and what waited, is gone from it.",
        "Restore Redis from its files or from a backup. If there is none, restart every process of the bridge, which then begins with an empty store; have the HR system send again what it sent lately, and import a roster.";
    StoreEviction = "STORE-EVICTION",
        "Redis may evict keys when memory is short: its `maxmemory-policy` is not `noeviction`.",
        "Set `maxmemory-policy noeviction`; for trials only, `[store] insecure_ok = true`.";
    StoreNoAof = "STORE-NO-AOF",
        "Redis keeps no append-only file, so a restart would lose accepted events.",
        "Set `appendonly yes`; for trials only, `[store] insecure_ok = true`.";
    StoreDatabase = "STORE-DATABASE",
        "Redis does not have the database of this number.",
        "Correct the number in `[store] url`; a cluster has only 0.";
    StoreNewerSchema = "STORE-NEWER-SCHEMA",
        "The store was written by a newer version of scim-bridge.",
        "Run the newer version, or give this one a store of its own: another directory in `[store] url`; with Redis, another `[store] key_prefix`.";
    StoreDamaged = "STORE-DAMAGED",
        "What was read from the store is not what the bridge wrote.",
        "Run `scim-bridge check`, which reads all of an embedded store's file, and put a backup in its place; with Redis, find who else writes to the keys of this prefix, and restore its data from before that.";
    StoreUnwritable = "STORE-UNWRITABLE",
        "The store cannot be reached or written.",
        "Free space on its disk, or repair it: the log says what the system answers; work resumes automatically.";
    StoreError = "STORE-ERROR",
        "Redis answered with an unexpected error.",
        "See the log for its error word; check the server's version and its modules.";
}
}

impl Code {
    /// Whether it is about a read at the HR system.
    #[must_use]
    pub fn is_of_fetch(self) -> bool {
        self.as_str().starts_with("FETCH-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_entry_in_the_documentation() {
        let document = include_str!("../../docs/failures.md");
        for code in Code::ALL {
            assert!(document.contains(&format!("\n### {code}\n")), "{code}");
        }
    }

    #[test]
    fn codes_are_distinct_and_say_what_to_do() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.title().ends_with('.') && code.advice().ends_with('.'), "{code}");
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
        }
    }
}
