//! "Why is Jane not in Postman?" in one sentence: a pure function of what is known.

use crate::core::code::Code;
use crate::core::hold::{Hold, HoldScope, Holds};
use crate::core::person::job::Finished;
use crate::core::person::story::Note;
use crate::core::person::{Document, EmploymentState};
use crate::core::problems::ProblemCode;
use crate::core::target_name::said;
use crate::core::time::UnixMs;
use crate::store::{DeadRow, LaneState};

use super::people::WholePerson;

/// A person's situation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSummary {
    /// In one sentence, without personal data.
    pub sentence: String,
    /// What they wait for; none if they are up to date.
    pub waits_for: Option<WaitsFor>,
}

/// What a person waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitsFor {
    /// The state in which they wait.
    pub state: LaneState,
    /// The code of the cause, whose advice is the next step.
    pub code: Option<Code>,
    /// What to do; none if there is nothing to do.
    pub action: Option<String>,
    /// When it began.
    pub since: UnixMs,
    /// When they are due.
    pub due_at: Option<UnixMs>,
    /// The hold that keeps them.
    pub hold: Option<HoldScope>,
    /// The facts that are missing.
    pub missing: Vec<String>,
}

/// Answers for one person.
#[must_use]
pub fn summary(whole: &WholePerson, holds: &Holds) -> PersonSummary {
    let view = &whole.view;
    let (row, document) = (&view.row, view.document.as_ref());
    if let Some(unreadable) = view.unreadable {
        let sentence = format!("What is kept about them cannot be read: {unreadable}.");
        return waiting(whole, sentence, Some(Code::StoreDamaged));
    }
    let state =
        if row.lane.state == LaneState::Idle && row.inbox_entries > 0 { LaneState::Waiting } else { row.lane.state };
    match state {
        LaneState::Idle => PersonSummary { sentence: settled(whole), waits_for: None },
        LaneState::Running => waiting(whole, "A worker is reconciling them right now.".to_owned(), None),
        LaneState::Blocked => blocked(whole, document),
        LaneState::Held => held(whole, holds),
        LaneState::Scheduled => scheduled(whole, document),
        LaneState::Incomplete => incomplete(whole, document),
        LaneState::Waiting => in_line(whole, document, holds),
    }
}

fn waiting(whole: &WholePerson, sentence: String, code: Option<Code>) -> PersonSummary {
    let row = &whole.view.row;
    let since = whole.view.document.as_ref().and_then(|document| document.waiting_since).unwrap_or(row.since);
    let waits_for = WaitsFor {
        state: row.lane.state,
        code,
        action: code.map(|code| code.advice().to_owned()),
        since,
        due_at: row.lane.due,
        hold: None,
        missing: Vec::new(),
    };
    PersonSummary { sentence, waits_for: Some(waits_for) }
}

fn blocked(whole: &WholePerson, document: Option<&Document>) -> PersonSummary {
    let Some(trouble) = document.and_then(|document| document.trouble.as_ref()) else {
        return waiting(whole, "They are blocked.".to_owned(), None);
    };
    let detail = if trouble.detail.is_empty() { String::new() } else { format!(" ({})", trouble.detail) };
    let code = trouble.code;
    let mut summary =
        waiting(whole, format!("A dead letter blocks them: {code}. {}{detail}", code.title()), Some(code));
    if let Some(waits_for) = &mut summary.waits_for {
        waits_for.since = trouble.since;
    }
    summary
}

fn held(whole: &WholePerson, holds: &Holds) -> PersonSummary {
    let tag = whole.view.row.lane.tag.as_deref().and_then(HoldScope::parse);
    let of_everything = holds.of(&HoldScope::All).into_iter().filter(|hold| tag.as_ref() != Some(&hold.scope));
    let mut theirs = tag.as_ref().map(|scope| holds.of(scope)).unwrap_or_default();
    theirs.extend(of_everything);
    match (theirs.as_slice(), holds.holds.first()) {
        ([], None) => waiting(whole, "The hold that they waited for is lifted, and they go on now.".to_owned(), None),
        ([], Some(other)) => behind(whole, other, &[]),
        ([hold, beside @ ..], _) => behind(whole, hold, beside),
    }
}

/// Each hold that keeps them back has its own way to be lifted.
fn behind(whole: &WholePerson, hold: &Hold, beside: &[&Hold]) -> PersonSummary {
    let told = |hold: &Hold| {
        let set_by = hold.set_by().map(|set_by| format!(" (It was {set_by}.)")).unwrap_or_default();
        format!("the hold `{}` ({}): {}{set_by}", hold.scope, hold.code, hold.code.title())
    };
    let mut sentence = format!("They wait, unharmed, because of {}", told(hold));
    for other in beside {
        sentence += &format!(" Also in force: {}", told(other));
    }
    let mut summary = waiting(whole, sentence, Some(hold.code));
    if let Some(waits_for) = &mut summary.waits_for {
        waits_for.hold = Some(hold.scope.clone());
        for other in beside {
            waits_for.action = waits_for.action.take().map(|action| format!("{action} Then: {}", other.code.advice()));
        }
    }
    summary
}

fn scheduled(whole: &WholePerson, document: Option<&Document>) -> PersonSummary {
    let at = whole.view.row.lane.due.map(|at| format!(" at {at}")).unwrap_or_default();
    let newest = document.and_then(|document| document.record.employment.newest());
    let is_new = document.is_some_and(|document| document.member.is_none());
    let groups_due = document.and_then(|document| document.groups_wait).map(|wait| wait.due);
    let is_groups = groups_due.is_some_and(|groups| whole.view.row.lane.due.is_none_or(|due| groups <= due));
    let end_stands_until = document.and_then(|document| document.record.end_stands_until());
    let is_late_status = end_stands_until.is_some_and(|until| whole.view.row.lane.due == Some(until));
    let look =
        document.zip(whole.view.row.lane.due).and_then(|(document, due)| Some((document.second_look(due)?, due)));
    let is_look = look.is_some_and(|(look, due)| look <= due);
    let sentence = match newest.map(|word| word.state) {
        _ if is_look => format!(
            "They are as HR says. They are looked at once more{at}, because an earlier write brought no answer and may still take effect."
        ),
        _ if is_late_status => format!(
            "They have left by the end that HR gives, although the status beside it says that they work there. If they were hired again, enter the new first day in the HR system, or take the end out; a source with `[source.fetch]` is read again{at}."
        ),
        _ if is_groups => format!(
            "They are up to date, except for their groups, which do not accept them yet: most likely they have not joined. They are tried again{at}."
        ),
        Some(EmploymentState::Employed) if is_new => format!(
            "They are invited when HR says that they start{at}: their source's mapping has `invite = \"at_start\"`, and `lead_days` brings it forward."
        ),
        _ => format!("They wait for the time that HR announced{at}."),
    };
    waiting(whole, sentence, None)
}

fn incomplete(whole: &WholePerson, document: Option<&Document>) -> PersonSummary {
    let missing = document.map(|document| document.missing.clone()).unwrap_or_default();
    let what = if missing.is_empty() { "more".to_owned() } else { missing.join(" and ") };
    let newest = document.and_then(|document| document.record.employment.newest());
    let (sentence, action) = if newest.is_some_and(|word| word.state == EmploymentState::Left) {
        (
            format!(
                "They have left, but nobody is switched off: HR has never sent {what}, so it is not known which member to switch off."
            ),
            format!(
                "Enter {what} in the HR system, or import a roster that has it: then they go on. If they are \
                 not in Postman, or you switch them off there, erase the record: `scim-bridge person erase`."
            ),
        )
    } else if let Some(letter) = unusable(whole, &missing) {
        (
            format!("They wait for HR: what it sent as {what} cannot be used ({}: {}).", letter.code, letter.detail),
            format!(
                "Correct {what} in the HR system: its next event completes them. Or see `scim-bridge dead show {}`.",
                letter.id
            ),
        )
    } else {
        (
            format!("They wait for HR: it has not sent {what} yet."),
            format!("Enter {what} in the HR system: its next event completes them."),
        )
    };
    let mut summary = waiting(whole, sentence, None);
    if let Some(waits_for) = &mut summary.waits_for {
        waits_for.action = Some(action);
        waits_for.missing = missing;
    }
    summary
}

/// The newest kept record about them in which something that is missing was, and could not be used.
fn unusable<'w>(whole: &'w WholePerson, missing: &[String]) -> Option<&'w DeadRow> {
    whole.letters.iter().find(|letter| missing.iter().any(|field| letter.detail.contains(field.as_str())))
}

fn in_line(whole: &WholePerson, document: Option<&Document>, holds: &Holds) -> PersonSummary {
    if let [hold, beside @ ..] = holds.of(&HoldScope::All).as_slice() {
        return behind(whole, hold, beside);
    }
    if document.is_some_and(|document| document.trouble.is_some()) {
        let mut summary = blocked(whole, document);
        summary.sentence += " A new event has arrived, and is about to be tried.";
        return summary;
    }
    let failures = document.map_or(0, |document| document.progress.failures);
    let code = last_code(whole);
    if failures > 0 {
        let why = code.map(|code| format!(" ({code})")).unwrap_or_default();
        let at = whole.view.row.lane.due.map(|at| format!(" at {at}")).unwrap_or_default();
        return waiting(whole, format!("Tried {} without success{why}; tried again{at}.", times(failures)), code);
    }
    waiting(whole, "New events wait for their turn.".to_owned(), None)
}

/// The last reason for waiting.
fn last_code(whole: &WholePerson) -> Option<Code> {
    whole.story.iter().rev().find_map(|entry| match &entry.note {
        Note::RetryAt { code, .. } => Some(*code),
        _ => None,
    })
}

fn settled(whole: &WholePerson) -> String {
    let Some(document) = &whole.view.document else {
        return "Nothing that is stored says anything about them.".to_owned();
    };
    if let Some(closed) = document.record.closed.as_ref().filter(|_| document.record.lacks_member()) {
        let advice = if closed.owner_has_moved() || closed.owner_left_at().is_some() {
            "if they do, have HR send them again (or apply a roster that has them), and they are in the team again; if not, erase this record."
        } else {
            "erase this record and, if the two are different people, have HR send them again."
        };
        return format!("HR says that they work there, and {}: {advice}", closed.describe());
    }
    if let Some(closed) = &document.record.closed {
        return format!(
            "Their member belongs to {} since {}: events about this record are kept, but not applied.",
            closed.to, closed.at
        );
    }
    let ended = whole.story.iter().rev().find_map(|entry| match &entry.note {
        Note::Ended { outcome, .. } => Some((entry.at, *outcome)),
        _ => None,
    });
    let how = ended.map_or_else(|| "They are up to date.".to_owned(), |(at, outcome)| ended_so(at, outcome));
    if document.switched_off_elsewhere {
        let since = said("Since then somebody switched them off in Postman, although HR says that they are employed.");
        return format!("{how} {since} {}", ProblemCode::PeopleSwitchedOff.advice());
    }
    if document.left_scope {
        return format!("{how} They are out of scope, by `in_scope_if` of their source's mapping.");
    }
    match document.record.employment.newest().map(|word| word.state) {
        Some(EmploymentState::Left) if ended.is_some_and(|(_, outcome)| outcome == Finished::NotAMember) => {
            "They are not in the team, and HR says that they have left; if they are back, its next hire invites them."
                .to_owned()
        }
        Some(EmploymentState::Left) if document.member.is_some() => {
            format!("{how} HR says that they have left; if they are back, its next hire switches them on.")
        }
        Some(EmploymentState::Employed) if document.member.as_ref().is_some_and(|member| member.is_unshown) => {
            format!("{how} {}", said(UNSHOWN))
        }
        Some(_) | None => how,
    }
}

/// What to do where only our own call has named them as a member so far.
const UNSHOWN: &str = "Until they accept their invitation, Postman may not list them: have them look for that e-mail, or invite them again in Postman's team settings.";

fn ended_so(at: UnixMs, outcome: Finished) -> String {
    match outcome {
        Finished::Created => {
            format!("{} them at {at}; an invitation e-mail is on its way or accepted.", said("Postman created"))
        }
        Finished::Invited => format!(
            "They were invited at {at}{}: most likely the invitation is not accepted yet.",
            said(", and Postman does not list them")
        ),
        Finished::Adopted => format!("They were in the team already, and belong to this record since {at}."),
        Finished::Updated => format!("They were last updated at {at}."),
        Finished::Deactivated => format!("They were switched off at {at}."),
        Finished::Unchanged => format!("They were found as they should be at {at}."),
        Finished::Superseded => format!("Their last event, ended at {at}, said nothing that newer events had not."),
        Finished::NotAMember => {
            format!(
                "Looked for at {at}: they are not in the team, and HR has not called them hired: its next hire invites them, or import a roster that has them."
            )
        }
        Finished::HandedOver => format!("At {at} their member was handed over to another record."),
        Finished::Discarded => {
            format!("An operator discarded what blocked them at {at}: HR's next event takes effect again.")
        }
    }
}

fn times(n: u32) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::people::PersonView;
    use crate::core::hold::ProbePauses;
    use crate::core::person::job::JobId;
    use crate::core::person::story::StoryEntry;
    use crate::core::person::{
        Aspect, BesideEnd, Event, EventKind, Facts, OpenWrite, Person, SourceName, Trouble, samples,
    };
    use crate::store::{Lane, PersonRow};

    fn whole(state: LaneState, change: impl FnOnce(&mut Document)) -> WholePerson {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        let mut document = Document::new(person.clone());
        change(&mut document);
        let lane = Lane { state, due: Some(UnixMs(60_000)), wakes: true, tag: Some("creates".to_owned()) };
        let row =
            PersonRow { id: person.id(), document: None, lane, since: UnixMs(5), inbox_entries: 0, inbox: Vec::new() };
        let view = PersonView { person, row, document: Some(document), unreadable: None, inbox: Vec::new() };
        WholePerson { view, story: Vec::new(), story_dropped: 0, letters: Vec::new() }
    }

    #[test]
    fn a_dead_letter_is_summarised_with_its_detail_and_its_age() {
        let whole = whole(LaneState::Blocked, |document| {
            let detail = "the member belongs to hr/E-9".to_owned();
            document.trouble =
                Some(Trouble { id: JobId(1), code: Code::ScimOwned, detail, since: UnixMs(3), tried_at: None });
        });
        let summary = summary(&whole, &Holds::default());
        assert!(summary.sentence.contains("hr/E-9"), "{summary:?}");
        let waits_for = summary.waits_for.unwrap();
        assert_eq!((waits_for.code, waits_for.since), (Some(Code::ScimOwned), UnixMs(3)));
    }

    #[test]
    fn a_hold_is_summarised_by_its_scope() {
        let mut holds = Holds::default();
        let pauses = ProbePauses { first_ms: 1, max_ms: 1 };
        holds.set(UnixMs(0), HoldScope::All, Code::HoldKey, pauses, None);
        holds.set(UnixMs(0), HoldScope::Creates, Code::HoldSeats, pauses, None);
        let behind_seats = summary(&whole(LaneState::Held, |_| {}), &holds).waits_for.unwrap();
        assert_eq!(behind_seats.hold, Some(HoldScope::Creates));
        let due = summary(&whole(LaneState::Waiting, |_| {}), &holds).waits_for.unwrap();
        assert_eq!(due.code, Some(Code::HoldKey));
    }

    #[test]
    fn several_holds_are_each_named_with_their_advice_in_the_order_of_lifting() {
        let mut holds = Holds::default();
        let pauses = ProbePauses { first_ms: 1, max_ms: 1 };
        holds.set(UnixMs(0), HoldScope::Creates, Code::HoldGuard, pauses, None);
        let told = |holds: &Holds| summary(&whole(LaneState::Held, |_| {}), holds);
        assert_eq!(told(&holds).waits_for.unwrap().code, Some(Code::HoldGuard));
        holds.set_by_hand(UnixMs(1), &HoldScope::Creates);
        holds.set(UnixMs(2), HoldScope::All, Code::HoldKey, pauses, None);
        let summary = told(&holds);
        let places: Vec<_> = ["HOLD-OPERATOR", "HOLD-GUARD", "HOLD-KEY"]
            .into_iter()
            .map(|code| summary.sentence.find(code).unwrap_or(usize::MAX))
            .collect();
        assert!(places.is_sorted() && places[2] != usize::MAX, "{summary:?}");
        let waits_for = summary.waits_for.unwrap();
        let action = waits_for.action.unwrap();
        assert_eq!(waits_for.code, Some(Code::HoldOperator));
        assert!(action.contains("`scim-bridge hold lift`") && action.contains("hold allow"), "{action}");
    }

    #[test]
    fn an_incomplete_person_is_summarised_by_what_is_missing() {
        let summary = summary(
            &whole(LaneState::Incomplete, |document| document.missing = vec!["email".to_owned()]),
            &Holds::default(),
        );
        assert!(summary.sentence.contains("has not sent email"), "{summary:?}");
        assert_eq!(summary.waits_for.unwrap().missing, ["email"]);
        let leaver = whole(LaneState::Incomplete, |document| {
            let facts = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
            let leave = Event { person: document.person.clone(), kind: EventKind::Leave, at: None, facts };
            document.record.fold(&leave, UnixMs(1), 1);
            document.missing = vec!["email".to_owned()];
        });
        let summary = super::summary(&leaver, &Holds::default());
        assert!(summary.sentence.contains("nobody is switched off"), "{summary:?}");
        assert!(summary.waits_for.unwrap().action.unwrap().contains("person erase"));
    }

    #[test]
    fn an_unusable_field_is_not_summarised_as_missing() {
        let mut whole = whole(LaneState::Incomplete, |document| document.missing = vec!["email".to_owned()]);
        let letter = |detail: &str| DeadRow {
            id: JobId(7),
            source: SourceName::parse("hr").unwrap(),
            person: Some(whole.view.person.clone()),
            event: None,
            died_at: UnixMs(1),
            code: "MAP-FIELD".to_owned(),
            detail: detail.to_owned(),
            unmapped: true,
        };
        let (other, theirs) =
            (letter("starts_at: no date"), letter("email: not an e-mail address; the rest of it is in effect"));
        whole.letters = vec![other.clone()];
        assert!(summary(&whole, &Holds::default()).sentence.contains("has not sent email"));
        whole.letters = vec![other, theirs];
        let summary = summary(&whole, &Holds::default());
        assert!(summary.sentence.contains("cannot be used (MAP-FIELD: email: not an e-mail address"), "{summary:?}");
        let action = summary.waits_for.unwrap().action.unwrap();
        assert!(action.contains("Correct email") && action.contains(&JobId(7).to_string()), "{action}");
    }

    #[test]
    fn a_future_hire_is_summarised_with_the_date_of_the_invitation() {
        let at = |state| {
            let scheduled = whole(LaneState::Scheduled, |document| {
                let facts = Facts { employment: Some((state, Some(UnixMs(60_000)))), ..Facts::default() };
                let event = Event { person: document.person.clone(), kind: EventKind::Hire, at: None, facts };
                document.record.fold(&event, UnixMs(1), 1);
            });
            summary(&scheduled, &Holds::default()).sentence
        };
        assert!(at(EmploymentState::Employed).contains("invited when HR says that they start at 1970-01-01T00:01"));
        assert!(at(EmploymentState::Left).contains("the time that HR announced"));
    }

    #[test]
    fn an_end_beside_a_late_status_is_summarised_with_what_to_do_for_a_rehire() {
        let until = UnixMs(60_000).plus_ms(2 * 86_400_000);
        let mut scheduled = whole(LaneState::Scheduled, |document| {
            let employment = Some((EmploymentState::Employed, None));
            let beside_end = Some(BesideEnd::Status(UnixMs(60_000)));
            let facts = Facts { employment, beside_end, ..Facts::default() };
            let event = Event { person: document.person.clone(), kind: EventKind::Update, at: None, facts };
            document.record.fold(&event, UnixMs(70_000), 1);
        });
        scheduled.view.row.lane.due = Some(until);
        let sentence = summary(&scheduled, &Holds::default()).sentence;
        assert!(sentence.contains("hired again") && sentence.contains(&until.to_string()), "{sentence}");
    }

    #[test]
    fn a_second_look_is_summarised_with_its_reason() {
        let scheduled = whole(LaneState::Scheduled, |document| {
            let facts = Facts { employment: Some((EmploymentState::Employed, None)), ..Facts::default() };
            let event = Event { person: document.person.clone(), kind: EventKind::Hire, at: None, facts };
            document.record.fold(&event, UnixMs(1), 1);
            let (aspect, until) = (Aspect::Membership, UnixMs(60_000));
            let mut member = samples::member("7", Some(true));
            member.note_open(OpenWrite { aspect, value: 0, until, is_uncovered: false, may_land: true });
            document.member = Some(member);
        });
        let sentence = summary(&scheduled, &Holds::default()).sentence;
        assert!(sentence.contains("looked at once more at 1970-01-01T00:01:00"), "{sentence}");
    }

    #[test]
    fn a_failed_attempt_gives_its_reason_and_next_try() {
        let mut whole = whole(LaneState::Waiting, |document| document.progress.failures = 2);
        let note = Note::RetryAt { due_at: UnixMs(60_000), code: Code::ScimUnavailable };
        whole.story.push(StoryEntry { at: UnixMs(1), note });
        let summary = summary(&whole, &Holds::default());
        assert!(summary.sentence.contains("twice without success (SCIM-5XX)"), "{summary:?}");
        assert!(summary.sentence.contains("1970-01-01T00:01:00Z"), "{summary:?}");
    }

    #[test]
    fn a_person_in_sync_waits_for_nothing_and_shows_how_it_ended() {
        let mut whole = whole(LaneState::Idle, |_| {});
        whole.story.push(StoryEntry { at: UnixMs(1), note: Note::Ended { job: JobId(1), outcome: Finished::Created } });
        let summary = summary(&whole, &Holds::default());
        assert_eq!(summary.waits_for, None);
        assert!(summary.sentence.starts_with("Postman created them"), "{summary:?}");
    }
}
