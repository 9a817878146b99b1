//! `demo`: everything running in a temporary folder: a real bridge, the Postman stand-in, signed webhooks over HTTP,
//! and the result for each person.

mod script;
mod stage;

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use self::script::{PEOPLE, Part};
use self::stage::{Delivery, Stage};
use super::Context;
use super::failure::Failure;

/// Far above what the demo takes (some five seconds).
const SETTLE_MAX: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(100);

/// How to demonstrate.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave everything running, to play with.
    #[arg(long)]
    keep: bool,
    /// Show the bridge's log, too.
    #[arg(long)]
    verbose: bool,
}

/// What the demo found.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    seconds: f64,
    deliveries: Vec<DeliveryReport>,
    people: Vec<PersonReport>,
}

#[derive(Debug, Serialize)]
struct DeliveryReport {
    what: String,
    status: u16,
    answer: String,
    ok: bool,
}

#[derive(Debug, Serialize)]
struct PersonReport {
    person: String,
    who: &'static str,
    why: &'static str,
    answer: String,
    story: Vec<String>,
    in_the_team: Option<String>,
    ok: bool,
}

/// Runs the command.
pub fn run(context: &Context, args: &DemoArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let _log = args.verbose.then(stage::show_log).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime could not start: {error}")))?;
    runtime.block_on(async {
        let stage = Stage::set().await?;
        let say = |line: &str| {
            if !context.json {
                say!("{line}");
            }
        };
        say(&format!("the Postman stand-in answers at {}", stage.postman_url()));
        say(&format!("the bridge takes webhooks at    {}", stage.webhook_url()));
        say("");
        let mut deliveries = Vec::new();
        for act in script::acts() {
            for delivery in act {
                let sent = send(&stage, &delivery).await?;
                say(&format!("{} {:<58} {} {}", mark(sent.ok), sent.what, sent.status, sent.answer));
                deliveries.push(sent);
            }
            say("     … until everybody is settled");
            settle(&stage).await?;
        }
        let mut people = Vec::new();
        for part in PEOPLE {
            people.push(report(&stage, part).await?);
        }
        let ok = deliveries.iter().all(|delivery| delivery.ok) && people.iter().all(|person| person.ok);
        let report = Report { ok, seconds: began.elapsed().as_secs_f64(), deliveries, people };
        context.print(&report, || print(&report, &stage))?;
        if args.keep && ok {
            stage.print_how_to_play();
            stage.wait_for_signal().await?;
        }
        stage.clear().await?;
        if ok { Ok(()) } else { Err(Failure::Reported) }
    })
}

async fn send(stage: &Stage, delivery: &Delivery) -> Result<DeliveryReport, Failure> {
    let (status, answer) = stage.send(delivery).await?;
    let ok = status == delivery.expect.0 && answer.contains(delivery.expect.1);
    Ok(DeliveryReport { what: delivery.what.to_owned(), status, answer: stage::short(&answer), ok })
}

/// Waits until nothing that can still progress is waiting.
async fn settle(stage: &Stage) -> Result<(), Failure> {
    let deadline = Instant::now() + SETTLE_MAX;
    loop {
        let jobs = stage.jobs().await?;
        let moving = jobs.get("waiting").copied().unwrap_or(0) + jobs.get("running").copied().unwrap_or(0);
        if moving == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::failed(format!("{moving} jobs did not settle within {} s", SETTLE_MAX.as_secs())));
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn report(stage: &Stage, part: &Part) -> Result<PersonReport, Failure> {
    let in_the_team = stage.member(part.emails);
    let person = stage.person(part.employee_id).await?;
    let ok = in_the_team.as_deref() == part.in_the_team && person.is_some() == part.in_the_team.is_some();
    let (answer, story) = match person {
        Some(person) => (person.answer, person.story.into_iter().map(|entry| entry.text).collect()),
        // The forged delivery: nothing of it may be anywhere.
        None => ("the bridge has never heard of them, as it should be".to_owned(), Vec::new()),
    };
    let (who, why) = (part.who, part.why);
    Ok(PersonReport { person: format!("hr/{}", part.employee_id), who, why, answer, story, in_the_team, ok })
}

fn print(report: &Report, stage: &Stage) {
    for person in &report.people {
        say!("\n{} {} ({}): {}", mark(person.ok), person.who, person.person, person.why);
        for line in &person.story {
            say!("    {line}");
        }
        match &person.in_the_team {
            Some(name) => say!("    in the team as: {name}"),
            None => say!("    not in the team"),
        }
        say!("    {}", person.answer);
    }
    let (calls, violations) = stage.calls();
    say!("\n{calls} SCIM calls, {violations} over Postman's limits; {:.1} s in all", report.seconds);
    say!("{}", if report.ok { "Everybody ended as they should." } else { "NOT everybody ended as they should." });
}

fn mark(ok: bool) -> &'static str {
    if ok { "ok  " } else { "FAIL" }
}
