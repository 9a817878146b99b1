//! `person`: "why is Jane not in Postman?"; and `person erase`.

use clap::{Args, Subcommand};

use super::api::Api;
use super::failure::Failure;
use super::jobs::print_job;
use super::people::print_rows;
use super::{Context, block_on};
use crate::admin::api::shapes::{DoneBody, FactBody, PeopleBody, PersonBody, PersonRef};
use crate::core::target_name;

/// The person to look up.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct PersonArgs {
    /// SOURCE/EMPLOYEE-ID, an employee id, an e-mail address, or a name.
    #[arg(required = true)]
    who: Vec<String>,
    #[command(subcommand)]
    command: Option<PersonCommand>,
}

#[derive(Debug, Subcommand)]
enum PersonCommand {
    /// Erase everything kept about a person: record, member link, story, dead letters, payloads.
    Erase {
        /// SOURCE/EMPLOYEE-ID, an employee id, an e-mail address, or a name.
        #[arg(required = true)]
        who: Vec<String>,
        /// Do it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Try a person now, whatever they wait for.
    Try {
        /// SOURCE/EMPLOYEE-ID, an employee id, an e-mail address, or a name.
        #[arg(required = true)]
        who: Vec<String>,
    },
}

/// Runs the command.
pub fn run(context: &Context, args: &PersonArgs) -> Result<(), Failure> {
    let api = Api::of(context)?;
    match (&args.command, &args.who) {
        (None, who) => {
            let who = who.join(" ");
            let Some(person) = block_on(meant(&api, &who))? else { return several(context, &api, &who) };
            context.print(&person, || print(&person))
        }
        (Some(PersonCommand::Erase { who, yes }), _) => {
            let who = who.join(" ");
            let Some(person) = block_on(meant(&api, &who))? else { return several(context, &api, &who) };
            let name = key(&person.person);
            if !yes {
                return Err(Failure::advise(
                    format!("this erases everything kept about {name}, and cannot be undone"),
                    "To confirm: `scim-bridge person erase WHO --yes`.",
                ));
            }
            let done: DoneBody = block_on(api.delete(&path(&person.person)))?;
            context.print(&done, || say!("erased: {name}"))
        }
        (Some(PersonCommand::Try { who }), _) => {
            let who = who.join(" ");
            let Some(person) = block_on(meant(&api, &who))? else { return several(context, &api, &who) };
            let done: DoneBody = block_on(api.post(&path(&person.person)))?;
            context.print(&done, || say!("{} is looked at now", key(&person.person)))
        }
    }
}

fn key(person: &PersonRef) -> String {
    format!("{}/{}", person.source, person.employee_id)
}

fn path(person: &PersonRef) -> String {
    format!("/api/v1/people/{}/{}", Api::escaped(&person.source), Api::escaped(&person.employee_id))
}

/// Whom a text means; none if several people fit.
async fn meant(api: &Api, who: &str) -> Result<Option<PersonBody>, Failure> {
    api.get_unless_several(&format!("/api/v1/person?who={}", Api::escaped(who))).await
}

fn several(context: &Context, api: &Api, who: &str) -> Result<(), Failure> {
    let people: PeopleBody = block_on(api.get(&format!("/api/v1/people?search={}", Api::escaped(who))))?;
    context.print(&people, || {
        print_rows(&people);
        say!("Several people match: name one of them as SOURCE/EMPLOYEE-ID.");
    })?;
    Err(Failure::Reported)
}

/// Prints all about a person.
pub(super) fn print(person: &PersonBody) {
    say!("{}: {}", key(&person.person), person.answer);
    if let Some(waits_for) = &person.waits_for {
        say!("  {} since {}", waits_for.state, waits_for.since);
        if let Some(action) = &waits_for.action {
            say!("  what to do: {action}");
        }
    }
    let is_on = person.member.as_ref().is_some_and(|member| member.active != Some(false));
    if person.waits_for.is_none() && is_on {
        say!(
            "  if {} shows otherwise, it was changed there since: `scim-bridge person try {}` looks again",
            target_name::name(),
            key(&person.person)
        );
    }
    say!("\nwhat HR says");
    for word in &person.record.employment {
        say!("  {:<12} from {} (as of {})", word.state, word.from, word.at);
    }
    let fact = |name: &str, fact: &Option<FactBody>| {
        if let Some(fact) = fact {
            say!("  {name:<12} {} (as of {})", fact.value, fact.at);
        }
    };
    fact("scope", &person.record.scope);
    fact("e-mail", &person.record.email);
    fact("given name", &person.record.given_name);
    fact("family name", &person.record.family_name);
    fact("locale", &person.record.locale);
    for (name, fact) in &person.record.facts {
        say!("  {name:<12} {} (as of {})", fact.values.join(", "), fact.at);
    }
    if let Some(to) = &person.record.handed_over_to {
        say!("  the member belongs to {} now", key(to));
    }
    print_member(person);
    if !person.groups.is_empty() {
        say!("  in the groups {}", person.groups.join(", "));
    }
    if let Some(due_at) = &person.groups_due_at {
        say!("  they cannot join a group yet: tried again at {due_at}");
    }
    if !person.jobs.is_empty() {
        say!("\nopen jobs");
        person.jobs.iter().for_each(print_job);
    }
    say!("\nstory");
    if person.story_dropped > 0 {
        say!("  ({} older entries are gone)", person.story_dropped);
    }
    for entry in &person.story {
        say!("  {}  {}", entry.at, entry.text);
    }
}

fn print_member(person: &PersonBody) {
    match &person.member {
        Some(member) => {
            let id = member.id.as_deref().unwrap_or("not known yet (invited)");
            let active = match member.active {
                Some(true) => "active",
                Some(false) => "inactive",
                None => "active or not: not known",
            };
            let names: Vec<_> =
                [&member.given_name, &member.family_name].into_iter().flatten().map(String::as_str).collect();
            say!(
                "\nat {}: {} ({}), {active}, id {id}, seen {}",
                target_name::name(),
                member.user_name,
                names.join(" "),
                member.seen_at
            );
        }
        None => say!("\nat {}: no member known", target_name::name()),
    }
}
