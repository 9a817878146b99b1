//! The codes of what `status` lists besides holds, dead letters and temporary trouble, which have their
//! own.

use crate::core::code::codes;

codes! {
    /// A stable code of what needs attention.
    ProblemCode {
    WorkNobody = "WORK-NOBODY",
        "No worker is running: nothing reaches Postman.",
        "Start a process with `serve --role worker` (or `--role all`) on this store, or see why the one that should run does not.";
    WorkStuck = "WORK-STUCK",
        "People are due, and nothing moves.",
        "See the workers' logs: is the store slow, or do they hang? Restarting a worker loses nothing.";
    WorkFailing = "WORK-FAILING",
        "Changes for these people keep failing, and are tried again.",
        "Look at their stories for what Postman, or the HR system that is read, answers; what cannot succeed becomes a dead letter in the end.";
    SourceSignature = "SOURCE-SIGNATURE",
        "Deliveries are refused because their sender is not authenticated.",
        "Compare the secret in the HR system with `[[source]] secrets` of this source. If the HR system has a new one, add it there, next to the old one. The HR system sends what was refused again, or can be made to.";
    SourceTime = "SOURCE-TIME",
        "Deliveries are refused because of their timestamp.",
        "Check the clocks of this machine and of the sender; a wider window is `past_s` and `future_s` of `[source.signature] timestamp`.";
    SourceRefused = "SOURCE-REFUSED",
        "Deliveries are refused before they are read.",
        "Correct how the HR system sends, or what this source accepts; see the reason.";
    SourceFull = "SOURCE-FULL",
        "Deliveries from this source are answered 503, because it has filled its share of the store.",
        "See what its backlog waits for, or raise `[store] high_water_jobs` or `dead_letters_max`; the HR system sends again.";
    SourceIgnored = "SOURCE-IGNORED",
        "Deliveries are ignored, because the mapping does not name their type.",
        "Name the type in `[source.mapping]`: as `hire`, `update` or `leave`, or under `ignore` if it says nothing about people.";
    SourceDropped = "SOURCE-DROPPED",
        "An optional field cannot be used, so its records count without it.",
        "Run `scim-bridge explain` on a payload; correct the field in the HR system, or how `[source.mapping]` reads it.";
    SourceDuplicates = "SOURCE-DUPLICATES",
        "Unusually many deliveries are repetitions.",
        "See in the HR system whether our answers arrive there in time: a proxy that cuts them off makes it send again. Nothing is applied twice.";
    SourceAhead = "SOURCE-AHEAD",
        "Events carry times more than an hour in the future, so the time of their arrival counts instead.",
        "Point `[source.mapping] occurred_at` at the time of the change, not at a start or end date; set `zone`, and check the sender's clock.";
    SourceZone = "SOURCE-ZONE",
        "The times of this source give no zone, and seem to be those of another zone than the configured one.",
        "Set `[source.mapping] zone` to the zone of the HR system's times, such as `America/New_York` (`scim-bridge explain` shows which one is taken); then send again, or import and apply, what came meanwhile.";
    SourceUntimed = "SOURCE-UNTIMED",
        "Some events from this source carry no time, and count as of their arrival; others carry one.",
        "Add the path to their time to `[source.mapping] occurred_at`; if they have none, set it to `[]`: then all events count in the order of their arrival.";
    SourceOutdated = "SOURCE-OUTDATED",
        "All events that this source has sent lately are older than what is known, and are not applied.",
        "Check the sender's clock, and that `[source.mapping] occurred_at` and `zone` give the time of the change; then have what was left out sent again. A replay of what is known needs no action.";
    SourceConflict = "SOURCE-CONFLICT",
        "Deliveries repeat a known event id but say something else; they are treated as duplicates.",
        "Have the HR system give every event an id of its own; what these said is not applied: have it sent again, or correct it there again.";
    SourceUnknown = "SOURCE-UNKNOWN",
        "Deliveries come for a source that is not configured, and are answered 404.",
        "Compare the URL in the HR system with `[[source]] name`: it ends in `/webhooks/` and that name.";
    SourceToken = "SOURCE-TOKEN",
        "The HR system offers a verification token, and no file is configured to keep it.",
        "Set `[source.signature] handshake` to keep the token in a file, and switch the webhook on again in the HR system.";
    SourceGone = "SOURCE-GONE",
        "The store has people or dead letters of a source that is not configured (any more): nothing that HR says about these people is applied.",
        "If the source was renamed, restore its old name, in the HR system's URL, too. If it is gone for good, have its people come from the new one (under the same address and name, each member is handed over), or erase them (`scim-bridge person erase`), and discard its dead letters.";
    SourceQuiet = "SOURCE-QUIET",
        "This source used to deliver, and has stopped.",
        "See whether the webhook is still switched on in the HR system: many switch it off after errors.";
    SourceSecretExpires = "SOURCE-SECRET-EXPIRES",
        "The last secret of this source expires soon, or has expired.",
        "Add the next secret to `[[source]] secrets`, and switch the HR system over, before `not_after`.";
    PeopleIncomplete = "PEOPLE-INCOMPLETE",
        "People wait for HR to say more.",
        "See who, and what is missing, and complete them in the HR system; its next event about them resolves this. If HR does say it, `[source.mapping]` looks in the wrong place, or the key of `[source.fetch]` may not see it: correct that, then have it sent again, or import a roster. Leavers are switched off only then; until it comes, do it by hand.";
    PeopleSwitchedOff = "PEOPLE-SWITCHED-OFF",
        "Members were switched off in Postman, although HR says that they are employed.",
        "Switch them on in Postman's team settings, or end their employment in the HR system. The bridge does not undo it.";
    PeopleAfterClose = "PEOPLE-AFTER-CLOSE",
        "HR still sends events about people whose member now belongs to another record.",
        "See both records (`scim-bridge person WHO`). If both are the same person, the former record is no longer needed: erase it (`scim-bridge person erase WHO --yes`). If they are two, correct the employee id or the address in the HR system, erase the former record, and have HR send that person again.";
    PeopleGone = "PEOPLE-GONE",
        "The HR system's API knows nobody with these ids, the dead letters for that were discarded, and they may still be active in Postman.",
        "See who (`scim-bridge people list --mark gone_at_hr`). If they have left, have the HR system send their leave, or import a roster that says so; or switch them off in Postman's team settings, then erase the record (`scim-bridge person erase WHO --yes`). If not, give the key under `[source.fetch]` the right to see them, and have HR send them again.";
    PeopleGroupless = "PEOPLE-GROUPLESS",
        "Members are not in their groups: no group has accepted them for more than a day.",
        "See who (`scim-bridge people list --mark groupless`). If they have not accepted Postman's invitation yet, have them do so; otherwise put one of them into the group in Postman's team settings, which shows what stands in the way. They are tried again every day, and by `scim-bridge person try WHO` at once.";
    PeopleGroupsForbidden = "PEOPLE-GROUPS-FORBIDDEN",
        "Members are not in their groups: Postman forbids it for everybody.",
        "Most likely the SCIM key may not write groups: have it created by somebody who may manage groups in Postman, or stop whatever else manages these groups (an identity provider, say), or remove the `[[group]]` rules. Everything else about these people is still applied. The groups are tried again automatically, at growing pauses of up to a day, and at once by `scim-bridge person try WHO`.";
    PeopleInvited = "PEOPLE-INVITED",
        "People were invited more than a week ago, and Postman does not list them as members.",
        "See who (`scim-bridge drift`). They have not accepted yet, or somebody removed them since: remind them, or invite them again in Postman's team settings; if they are not to join, have HR send their leave. `scim-bridge drift --now` looks again.";
    RosterRefused = "ROSTER-REFUSED",
        "Rows of the last roster that was imported were refused.",
        "Correct these rows in the export, and import it again.";
    RosterUnlisted = "ROSTER-UNLISTED",
        "The HR system's list of everybody, which was requested, is incomplete.",
        "Nothing of it was staged. Fix what the code names, and ask again with `scim-bridge import --fetch`; or import an exported file.";
    DriftDifferent = "DRIFT-DIFFERENT",
        "HR and Postman do not agree about people.",
        "See who with `scim-bridge drift`; reconcile them with `scim-bridge apply`, or correct HR. `scim-bridge drift --now` compares again.";
    DriftUnsure = "DRIFT-UNSURE",
        "The last comparison of HR and Postman was not reliable, so it repaired nothing.",
        "See the reason: an incomplete list of members usually passes; if the list cannot be read, `scim-bridge check` shows whether the key is accepted. Then compare again with `scim-bridge drift --now`.";
    ProcessClock = "PROCESS-CLOCK",
        "The clocks of the processes differ by more than ten seconds.",
        "Synchronise the machines' clocks with NTP.";
    ProcessVersions = "PROCESS-VERSIONS",
        "Processes of different versions have been running side by side for a long time.",
        "Finish the upgrade, or go back.";
    CertificateExpires = "CERTIFICATE-EXPIRES",
        "A certificate in the configuration expires soon, or has expired.",
        "Have it renewed, and put the new one into the file; a process that reads it only at its start needs a restart.";
    SecretUnusable = "SECRET-UNUSABLE",
        "The file of a secret cannot be used any more; its last value stays in use.",
        "Put a usable value into the file: it is read again within seconds. Do so before the next restart, which fails without it.";
    AlertFailing = "ALERT-FAILING",
        "Alerts do not reach their receiver.",
        "See the reason; correct `[[alert]] url` or `secret`, or fix the receiver. It gets what it missed when it is back.";
    BoundEntries = "BOUND-ENTRIES",
        "Waiting events approach the store's bound; at the bound, webhooks are answered 503.",
        "See what they wait for, or raise `[store] high_water_jobs`.";
    BoundDeadLetters = "BOUND-DEAD-LETTERS",
        "Dead letters approach the store's bound; at the bound, deliveries that cannot be mapped are answered 503.",
        "Replay or discard dead letters, or raise `[store] dead_letters_max`.";
    BoundDeadBytes = "BOUND-DEAD-BYTES",
        "Kept payloads approach the store's bound; at the bound, deliveries that cannot be mapped are answered 503.",
        "Replay or discard unmapped records, or raise `[store] dead_bytes_max`.";
    }
}
