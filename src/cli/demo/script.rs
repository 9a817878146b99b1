//! The demo's script: the people, what is sent about them, act by act, and how it must end.

use serde_json::{Value, json};

use super::stage::{Delivery, ELSEWHERE, Signing, UNLUCKY};

/// A person in the demo.
pub(super) struct Part {
    pub(super) employee_id: &'static str,
    pub(super) who: &'static str,
    /// What is special about them.
    pub(super) why: &'static str,
    /// Their addresses, in the order in which HR gives them.
    pub(super) emails: &'static [&'static str],
    /// Their state in the team afterwards; none: not in it.
    pub(super) in_the_team: Option<&'static str>,
}

pub(super) const PEOPLE: &[Part] = &[
    Part {
        employee_id: "E-1001",
        who: "Ada",
        emails: &["ada@example.com"],
        why: "hired, renamed, left, and back under another name",
        in_the_team: Some("Ada King"),
    },
    Part {
        employee_id: "E-1002",
        who: "Grace",
        emails: &["grace@example.com"],
        why: "hired; the HR system sends it twice, it counts once; then she leaves",
        in_the_team: Some("Grace Hopper (switched off)"),
    },
    Part {
        employee_id: "E-1003",
        who: "Linus",
        emails: &[UNLUCKY],
        why: "Postman fails twice, then it works: looked up before it is repeated",
        in_the_team: Some("Linus Torvalds"),
    },
    Part {
        employee_id: "E-1004",
        who: "Margaret",
        emails: &[ELSEWHERE, "m.hamilton@example.com"],
        why: "a member of another team: a dead letter, until HR gives her another address",
        in_the_team: Some("Margaret Hamilton"),
    },
    Part {
        employee_id: "E-1005",
        who: "Katherine",
        emails: &["katherine@example.com"],
        why: "already a member, under a former name: adopted and brought up to date",
        in_the_team: Some("Katherine Johnson"),
    },
    Part {
        employee_id: "E-1006",
        who: "Radia",
        emails: &["radia@example.com"],
        why: "her change of name comes before her hire: the newer statement counts, whatever the order",
        in_the_team: Some("Radia Perlman"),
    },
    Part {
        employee_id: "E-1666",
        who: "Mallory",
        emails: &["mallory@example.com"],
        why: "a forged signature",
        in_the_team: None,
    },
];

/// What is sent, act by act: each act begins when the previous one has settled.
pub(super) fn acts() -> Vec<Vec<Delivery>> {
    let ada =
        json!({"employee_id": "E-1001", "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace"});
    let grace =
        json!({"employee_id": "E-1002", "email": "grace@example.com", "first_name": "Grace", "last_name": "Hopper"});
    let linus = json!({"employee_id": "E-1003", "email": UNLUCKY, "first_name": "Linus", "last_name": "Torvalds"});
    let margaret =
        json!({"employee_id": "E-1004", "email": ELSEWHERE, "first_name": "Margaret", "last_name": "Heafield"});
    let katherine = json!({
        "employee_id": "E-1005", "email": "katherine@example.com", "first_name": "Katherine", "last_name": "Johnson",
    });
    let mallory = json!({"employee_id": "E-1666", "email": "mallory@example.com", "first_name": "Mallory", "last_name": "Mallet"});
    let radia =
        json!({"employee_id": "E-1006", "email": "radia@example.com", "first_name": "Radia", "last_name": "Joy"});
    vec![
        vec![
            hired("hire Ada Lovelace", "msg_1", 0, &ada),
            hired("hire Grace Hopper", "msg_2", 0, &grace),
            Delivery { expect: (200, "duplicate"), ..hired("hire Grace Hopper, delivered again", "msg_2", 0, &grace) },
            hired("hire Linus Torvalds", "msg_3", 0, &linus),
            Delivery {
                signing: Signing::Forged,
                expect: (401, ""),
                ..hired("hire Mallory, signed with a wrong secret", "msg_4", 0, &mallory)
            },
            hired("hire Margaret Heafield", "msg_5", 0, &margaret),
            hired("hire Katherine Johnson", "msg_6", 0, &katherine),
            updated(
                "rename Radia, before her hire",
                "msg_7",
                20,
                &json!({"employee_id": "E-1006", "last_name": "Perlman"}),
            ),
            hired("hire Radia Joy, late", "msg_8", 10, &radia),
        ],
        vec![
            updated("rename Ada to Ada King", "msg_9", 20, &json!({"employee_id": "E-1001", "last_name": "King"})),
            left("Ada leaves", "msg_10", 30, "E-1001"),
            left("Grace leaves", "msg_11", 30, "E-1002"),
            updated(
                "Margaret has another address and name",
                "msg_12",
                30,
                &json!({"employee_id": "E-1004", "email": "m.hamilton@example.com", "last_name": "Hamilton"}),
            ),
        ],
        vec![
            hired(
                "hire Ada again, as Ada King",
                "msg_13",
                40,
                &json!({"employee_id": "E-1001", "email": "ada@example.com", "first_name": "Ada", "last_name": "King"}),
            ),
            hired("the first hire of Grace once more, late: she stays away", "msg_14", 0, &grace),
        ],
    ]
}

fn hired(what: &'static str, id: &'static str, minute: u32, data: &Value) -> Delivery {
    delivery(what, id, "employee.hired", minute, data)
}

fn updated(what: &'static str, id: &'static str, minute: u32, data: &Value) -> Delivery {
    delivery(what, id, "employee.updated", minute, data)
}

fn left(what: &'static str, id: &'static str, minute: u32, employee_id: &str) -> Delivery {
    delivery(what, id, "employee.left", minute, &json!({"employee_id": employee_id}))
}

/// A delivery about something that became so at this minute of the demo, by the HR system's clock.
fn delivery(what: &'static str, id: &'static str, kind: &str, minute: u32, data: &Value) -> Delivery {
    let payload = json!({"type": kind, "timestamp": format!("2026-11-22T10:{minute:02}:00Z"), "data": data});
    Delivery { what, id, payload, signing: Signing::Right, expect: (200, "accepted") }
}
