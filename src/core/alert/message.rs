//! A message's body: in the Standard Webhooks format, or in Slack's, which other receivers take, too.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Change, Line, Message};

/// The type of a message, as Standard Webhooks name it.
pub const TYPE: &str = "problems.changed";
/// How many problems a message spells out; it counts the rest.
const LISTED_MAX: usize = 30;

/// The format that a receiver wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `{"type":…,"timestamp":…,"data":{…}}`
    #[default]
    StandardWebhooks,
    /// `{"text":…}`
    Slack,
}

/// The body. `console` is where the console's pages are, without a slash at its end.
#[must_use]
pub fn body(message: &Message, format: Format, console: &str) -> Vec<u8> {
    let body = match format {
        Format::StandardWebhooks => standard(message, console),
        Format::Slack => json!({ "text": slack(message, console) }),
    };
    body.to_string().into_bytes()
}

fn standard(message: &Message, console: &str) -> serde_json::Value {
    let problem = |(change, line): &(Change, Line)| {
        json!({
            "change": change.as_str(),
            "code": line.code,
            "subject": line.subject,
            "what": line.what,
            "count": line.count,
            "since": line.since.to_string(),
            "action": line.action,
            "link": link(console, line),
        })
    };
    json!({
        "type": TYPE,
        "timestamp": message.at.to_string(),
        "data": {
            "summary": summary(message),
            "open": message.open,
            "problems": message.changes.iter().take(LISTED_MAX).map(problem).collect::<Vec<_>>(),
            "left_out": left_out(message),
            "link": format!("{console}/"),
        },
    })
}

fn slack(message: &Message, console: &str) -> String {
    let mut text = format!("*scim-bridge*: {}", escaped(&summary(message)));
    for (change, line) in message.changes.iter().take(LISTED_MAX) {
        let word = change.as_str().replace('_', " ");
        text.push_str(&format!("\n• *{word}* `{}`: {}", line.code, escaped(&line.what)));
        if *change != Change::Closed {
            text.push_str(&format!("\n   {}\n   {}", escaped(&line.action), link(console, line)));
        }
    }
    if left_out(message) > 0 {
        text.push_str(&format!("\n• and {} more: {console}/", left_out(message)));
    }
    text
}

fn left_out(message: &Message) -> usize {
    message.changes.len().saturating_sub(LISTED_MAX)
}

/// `1 opened, 2 closed; 3 need attention.`
fn summary(message: &Message) -> String {
    let counted = [Change::Opened, Change::Grew, Change::Closed, Change::StillOpen].map(|change| {
        let n = message.changes.iter().filter(|(of, _)| *of == change).count();
        (n > 0).then(|| format!("{n} {}", change.as_str().replace('_', " ")))
    });
    let counted: Vec<_> = counted.into_iter().flatten().collect();
    let open = match message.open {
        0 => "all is well.".to_owned(),
        1 => "1 needs attention.".to_owned(),
        n => format!("{n} need attention."),
    };
    format!("{}; {open}", counted.join(", "))
}

fn link(console: &str, line: &Line) -> String {
    format!("{console}{}", line.page)
}

/// Slack's own rule: only these three characters.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::UnixMs;

    fn message(changes: Vec<(Change, &str)>) -> Message {
        let line = |code: &str| Line {
            code: code.to_owned(),
            subject: "hr".to_owned(),
            what: "1 < 2 & so on.".to_owned(),
            action: "Mend it.".to_owned(),
            count: 2,
            since: UnixMs(0),
            page: "/hold".to_owned(),
        };
        let changes = changes.into_iter().map(|(change, code)| (change, line(code))).collect();
        Message { id: "m".to_owned(), at: UnixMs(1_000), changes, open: 1 }
    }

    #[test]
    fn a_standard_message_has_everything_needed_to_act() {
        let bytes = body(
            &message(vec![(Change::Opened, "HOLD-KEY"), (Change::Closed, "WORK-NOBODY")]),
            Format::StandardWebhooks,
            "https://bridge.example.com",
        );
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((json["type"].as_str(), json["timestamp"].as_str()), (Some(TYPE), Some("1970-01-01T00:00:01Z")));
        assert_eq!(json["data"]["summary"], "1 opened, 1 closed; 1 needs attention.");
        let first = &json["data"]["problems"][0];
        assert_eq!((first["change"].as_str(), first["code"].as_str()), (Some("opened"), Some("HOLD-KEY")));
        assert_eq!(first["link"], "https://bridge.example.com/hold");
    }

    #[test]
    fn a_slack_message_is_one_text_with_its_markup_escaped() {
        let bytes = body(&message(vec![(Change::StillOpen, "HOLD-KEY")]), Format::Slack, "http://b");
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 1);
        let text = json["text"].as_str().unwrap();
        assert!(
            text.contains("*still open* `HOLD-KEY`: 1 &lt; 2 &amp; so on.\n   Mend it.\n   http://b/hold"),
            "{text}"
        );
    }

    #[test]
    fn a_message_counts_the_problems_that_it_leaves_out() {
        let many = message(vec![(Change::Opened, "A"); 500]);
        for format in [Format::StandardWebhooks, Format::Slack] {
            let bytes = body(&many, format, "http://b");
            assert!(bytes.len() < 20_000);
            assert!(String::from_utf8(bytes).unwrap().contains("470"), "{format:?}");
        }
    }
}
