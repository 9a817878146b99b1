//! `deliveries`: the last deliveries of each source, one by one.

use clap::Args;

use super::api::Api;
use super::failure::Failure;
use super::people::PageArgs;
use super::{Context, block_on};
use crate::admin::api::deliveries::{DeliveriesBody, DeliveryBody};
use crate::core::csv;
use crate::core::deliveries::Answered;

/// The deliveries to list.
#[derive(Debug, Args)]
pub struct DeliveriesArgs {
    /// Only from this source.
    #[arg(long)]
    source: Option<String>,
    /// Only those with this result: accepted, duplicate, ignored, unmapped, handshake, `put_off` or refused.
    #[arg(long, value_parser = Answered::ALL.map(Answered::as_str))]
    result: Option<String>,
    /// Only the one whose answer had this X-Request-Id.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    page: PageArgs,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

/// Runs the command.
pub fn run(context: &Context, args: &DeliveriesArgs) -> Result<(), Failure> {
    context.is_one_format(args.csv)?;
    let api = Api::of(context)?;
    let parts = [("source", &args.source), ("result", &args.result), ("request_id", &args.request_id)];
    let given = parts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let filter: String = given.map(|(name, value)| format!("{name}={}&", Api::escaped(value))).collect();
    let list: DeliveriesBody = block_on(api.get(&format!("/api/v1/deliveries?{filter}{}", args.page.query())))?;
    if args.csv {
        say!("at,source,request_id,result,reason,peer,event_id,types,jobs");
        list.deliveries.iter().for_each(print_csv);
        return Ok(());
    }
    context.print(&list, || {
        if list.deliveries.is_empty() {
            say!("No deliveries.");
        }
        list.deliveries.iter().for_each(print);
        if let Some(next) = &list.next {
            say!("more: --after {next}");
        }
    })
}

fn print(delivery: &DeliveryBody) {
    let source = delivery.source.as_deref().unwrap_or("(no such source)");
    let reason = delivery.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let types = delivery.types.join(", ");
    say!("{}  {source}  {}{reason}  {types}", delivery.at, delivery.result);
    let event = delivery.event_id.as_ref().map(|id| format!("  event {id}")).unwrap_or_default();
    say!("    request {}  from {}{event}", delivery.request_id, delivery.peer);
    for job in &delivery.jobs {
        say!("    job {job}");
    }
    let more = delivery.jobs_all.saturating_sub(u64::try_from(delivery.jobs.len()).unwrap_or_default());
    if more > 0 {
        say!("    and {more} more");
    }
}

fn print_csv(delivery: &DeliveryBody) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    say!(
        "{}",
        csv::row(&[
            &delivery.at,
            &text(&delivery.source),
            &delivery.request_id,
            &delivery.result,
            &text(&delivery.reason),
            &delivery.peer,
            &text(&delivery.event_id),
            &delivery.types.join(" "),
            &delivery.jobs.join(" "),
        ])
    );
}
