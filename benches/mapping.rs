//! How many events per second one core maps: `cargo bench --bench mapping`.
//!
//! The same delivery of a hire (about 900 bytes, nested as HR systems nest) is only parsed, mapped by plain paths, by
//! paths with transforms and conditions (aim: 500,000 a second without parsing), and with a jq filter for the address
//! (aim: 30,000). All alternate in one run, so that other load slows all of them alike.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use scim_bridge::core::json::Json;
use scim_bridge::core::mapping::{Mapping, Record, remap};
use scim_bridge::core::person::SourceName;

#[path = "figures/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod figures;

use figures::{percentile, sorted};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(200);

const BODY: &str = r#"{"type":"person.hired","timestamp":"2026-03-02T10:00:00Z","id":"evt_0123456789","version":3,
"data":{"person":{"employee_id":"E-1001","status":"A","display_name":"Ada Augusta Lovelace","first_name":"Ada",
"last_name":"Lovelace","email":"Ada.Lovelace@example.com","locale":"en-GB","birthday":null,"pronouns":"",
"emails":[{"type":"home","primary":false,"value":"ada@home.example.net"},{"type":"work","primary":true,
"value":"Ada.Lovelace@example.com"}],"phones":[{"type":"work","value":"+44 20 0000 0000"}],
"address":{"street":"St James's Square 12","city":"London","zip":"SW1Y 4JH","country":"GB"},
"job":{"title":"Analyst","department":"Engines","manager":{"id":"E-1","name":"Charles Babbage"},"fte":1.0,
"started":"2026-03-02"},"custom":{"shirt":"M","badge":4711,"desk":"B-12","remote":true}}}}"#;

const PLAIN: &str = "
hire = ['person.hired']
employee_id = '/data/person/employee_id'
email = '/data/person/email'
given_name = '/data/person/first_name'
family_name = '/data/person/last_name'
";

const TRANSFORMS: &str = "
hire = ['person.hired']
except_if = [{ path = '/data/person/custom/shirt', in = ['XS', 'XXL'] }]
in_scope_if = [{ path = '/data/person/address/country', in = ['GB', 'DE'] }]
employee_id = '/data/person/employee_id'
email = { path = '/data/person/emails[type=work]/value', lower = true }
given_name = { path = '/data/person/display_name', split_name = 'given' }
family_name = { path = '/data/person/display_name', split_name = 'family' }
status = { path = '/data/person/status', table = { A = 'active', L = 'left' } }
active_values = ['active']
left_values = ['left']
";

const FILTER: &str = r#"
hire = ['person.hired']
employee_id = '/data/person/employee_id'
email = { jq = '.data.person.emails[] | select(.type == "work") | .value' }
given_name = '/data/person/first_name'
family_name = '/data/person/last_name'
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let source = SourceName::parse("hr").map_err(|error| error.clone())?;
    let body = Bytes::from_static(BODY.as_bytes());
    let mut names = vec!["parsed only"];
    let mut mappings: Vec<Option<Mapping>> = vec![None];
    for (name, toml) in [("plain paths", PLAIN), ("paths, transforms, conditions", TRANSFORMS), ("a jq filter", FILTER)]
    {
        let mapping: Mapping = toml::from_str(toml)?;
        if !matches!(&*remap(&mapping, &source, &body), [Record::Event { dropped, .. }] if dropped.is_empty()) {
            return Err(format!("{name}: the body is not mapped to one event").into());
        }
        names.push(name);
        mappings.push(Some(mapping));
    }
    let mut rates = vec![Vec::new(); names.len()];
    for _ in 0..ROUNDS {
        for (mapping, rates) in mappings.iter().zip(&mut rates) {
            rates.push(events_per_second(mapping.as_ref(), &source, &body));
        }
    }
    let medians: Vec<f64> = rates.into_iter().map(|rates| percentile(&sorted(rates.into_iter()), 50)).collect();
    println!("{} bytes, one core, medians of {ROUNDS} rounds that take turns", BODY.len());
    println!("{:<32} {:>10} {:>8} {:>8} {:>24}", "", "events/s", "us each", "ratio", "events/s without parsing");
    for (name, rate) in names.iter().zip(&medians) {
        let mapped_us = 1e6 / rate - 1e6 / medians[0];
        let alone = if mapped_us > 0.0 { format!("{:.0}", 1e6 / mapped_us) } else { String::new() };
        println!("{name:<32} {rate:>10.0} {:>8.2} {:>8.3} {alone:>24}", 1e6 / rate, rate / medians[0]);
    }
    Ok(())
}

/// The rate during one round.
fn events_per_second(mapping: Option<&Mapping>, source: &SourceName, body: &Bytes) -> f64 {
    let (began, mut count) = (Instant::now(), 0.0);
    while began.elapsed() < ROUND {
        for _ in 0..100 {
            match mapping {
                Some(mapping) => drop(black_box(remap(mapping, source, black_box(body)))),
                None => {
                    drop(black_box(std::str::from_utf8(black_box(body)).ok().and_then(|text| Json::parse(text).ok())));
                }
            }
        }
        count += 100.0;
    }
    count / began.elapsed().as_secs_f64()
}
