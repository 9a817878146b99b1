//! What the demo plays: who is who, what is sent about them, and how it must end.

use super::stage::{Delivery, Signing};

/// How one event must end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// With this outcome or code.
    As(&'static str),
}

impl Expected {
    pub(super) fn as_str(&self) -> &'static str {
        let Self::As(word) = self;
        word
    }
}

/// A person of the play.
pub(super) struct Part {
    pub(super) employee_id: &'static str,
    pub(super) who: &'static str,
    pub(super) email: &'static str,
    /// What is to be seen.
    pub(super) why: &'static str,
    /// How their events must end, in order.
    pub(super) expected: &'static [Expected],
    /// Their name in the team afterwards.
    pub(super) in_the_team: Option<&'static str>,
}

/// Fails twice before it succeeds.
pub(super) const UNLUCKY: &str = "linus@example.com";
/// A member of another team: Postman refuses for good.
pub(super) const ELSEWHERE: &str = "margaret@example.com";
/// In the team before the demo begins, under another name and in other letters.
pub(super) const BEFORE: (&str, &str, &str) = ("Katherine@Example.com", "Katherine", "Coleman");

pub(super) const PEOPLE: &[Part] = &[
    Part {
        employee_id: "E-1001",
        who: "Ada",
        email: "ada@example.com",
        why: "hired, then renamed",
        expected: &[Expected::As("created"), Expected::As("updated")],
        in_the_team: Some("Ada King"),
    },
    Part {
        employee_id: "E-1002",
        who: "Grace",
        email: "grace@example.com",
        why: "hired; the HR system sends it twice, it counts once",
        expected: &[Expected::As("created")],
        in_the_team: Some("Grace Hopper"),
    },
    Part {
        employee_id: "E-1003",
        who: "Linus",
        email: UNLUCKY,
        why: "Postman fails twice, then it works: looked up before it is repeated",
        expected: &[Expected::As("created"), Expected::As("updated")],
        in_the_team: Some("Linus Benedict Torvalds"),
    },
    Part {
        employee_id: "E-1004",
        who: "Margaret",
        email: ELSEWHERE,
        why: "a member of another team: a dead letter, and her rename waits behind it",
        expected: &[Expected::As("SCIM-409-ELSEWHERE"), Expected::As("parked")],
        in_the_team: None,
    },
    Part {
        employee_id: "E-1005",
        who: "Katherine",
        email: "katherine@example.com",
        why: "a member already, under a former name: adopted and brought in line",
        expected: &[Expected::As("adopted")],
        in_the_team: Some("Katherine Johnson"),
    },
    Part {
        employee_id: "E-1666",
        who: "Mallory",
        email: "mallory@example.com",
        why: "a forged signature",
        expected: &[],
        in_the_team: None,
    },
];

/// What is sent, in order.
pub(super) fn deliveries() -> Vec<Delivery> {
    let hired = "employee.hired";
    let renamed = "employee.renamed";
    let accepted = (200, "accepted");
    let send = |what, id, kind, employee, email, given, family, expect| Delivery {
        what,
        id,
        kind,
        employee_id: employee,
        email,
        given,
        family,
        signing: Signing::Right,
        expect,
    };
    vec![
        send("hire Ada Lovelace", "msg_1", hired, "E-1001", "ada@example.com", "Ada", "Lovelace", accepted),
        send("hire Grace Hopper", "msg_2", hired, "E-1002", "grace@example.com", "Grace", "Hopper", accepted),
        send("rename Ada to Ada King", "msg_3", renamed, "E-1001", "ada@example.com", "Ada", "King", accepted),
        send(
            "hire Grace Hopper, delivered again",
            "msg_2",
            hired,
            "E-1002",
            "grace@example.com",
            "Grace",
            "Hopper",
            (200, "duplicate"),
        ),
        send("hire Linus Torvalds", "msg_4", hired, "E-1003", UNLUCKY, "Linus", "Torvalds", accepted),
        Delivery {
            signing: Signing::Forged,
            ..send(
                "hire Mallory, signed with a wrong secret",
                "msg_5",
                hired,
                "E-1666",
                "mallory@example.com",
                "Mallory",
                "Mallet",
                (401, ""),
            )
        },
        send("hire Margaret Hamilton", "msg_6", hired, "E-1004", ELSEWHERE, "Margaret", "Heafield", accepted),
        send("rename Margaret", "msg_7", renamed, "E-1004", ELSEWHERE, "Margaret", "Hamilton", accepted),
        send(
            "hire Katherine Johnson",
            "msg_8",
            hired,
            "E-1005",
            "katherine@example.com",
            "Katherine",
            "Johnson",
            accepted,
        ),
        send("rename Linus", "msg_9", renamed, "E-1003", UNLUCKY, "Linus Benedict", "Torvalds", accepted),
    ]
}
