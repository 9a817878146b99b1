//! Times as HR systems write them: with a zone, without one, as numbers, as dates.

use std::fmt;

use jiff::civil::{Date, DateTime, Time, date};
use jiff::fmt::rfc2822;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Number;

use crate::core::json::Json;
use crate::core::person::Problem;
use crate::core::time::UnixMs;

/// Numbers from 1 up to here are no seconds: spreadsheets count days (46419 is a day of 2027), and nobody writes about the
/// years 1970 to 1973 in seconds.
const SECONDS_FROM: f64 = 1e8;
/// Numbers from 1 up to here are instants in no unit. In milliseconds, some zones' midnight of 1 January 1970 is larger.
const INSTANTS_FROM: f64 = 1e6;
/// Times in this year mean never: `9999-12-31` is used as an open end.
const NEVER_YEAR: i16 = 9999;
/// From this value on, a number is in milliseconds: as seconds it would be the year 5138.
const AUTO_MS_FROM: f64 = 1e11;
/// From this value on, a number is in microseconds: as milliseconds it would be the year 5138.
const AUTO_US_FROM: f64 = 1e14;
const DAY_MS: u64 = 86_400_000;
/// No webhook is about anything earlier; such a time comes from a clock that was never set: 1990-01-01T00:00:00Z.
pub(super) const EVENTS_FROM: UnixMs = UnixMs(631_152_000_000);
/// Earlier dates, such as 0001-01-01 and 1900-01-01, stand for "no date": 1901-01-01T00:00:00Z.
const DATES_FROM: UnixMs = UnixMs(-2_177_452_800_000);
/// The last instant that can be written: 9999-12-30T22:00:00Z.
const LAST: UnixMs = UnixMs(253_402_207_200_000);
/// 9999-01-01T00:00:00Z.
const NEVER_FROM: UnixMs = UnixMs(253_370_764_800_000);
/// The same in seconds, and the end of that year by the clocks furthest west.
const NEVER_SECONDS_FROM: f64 = 253_370_764_800.0;
const NEVER_SECONDS_TO: f64 = 253_402_387_200.0;

/// How an instant is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// By its form: text with or without a zone, a date, or a number: seconds below 10^11,
    /// milliseconds below 10^14, microseconds above.
    #[default]
    Auto,
    /// Unix seconds, as a number or its text.
    S,
    /// Unix milliseconds, as a number or its text.
    Ms,
    /// RFC 3339 text.
    Rfc3339,
}

/// A time zone: `UTC`, a name of the IANA database such as `Europe/Berlin`, or an offset such as `+02:00`.
#[derive(Clone, PartialEq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// Its name, as configured.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let zone = match fixed_offset(&name) {
            Some(offset) => TimeZone::fixed(offset),
            None => TimeZone::get(&name).map_err(|_| {
                D::Error::custom("no such time zone: give one such as \"Europe/Berlin\", \"UTC\" or \"+02:00\"")
            })?,
        };
        Ok(Self { name, zone })
    }
}

fn fixed_offset(name: &str) -> Option<Offset> {
    let (sign, rest) =
        name.strip_prefix('+').map(|rest| (1, rest)).or_else(|| name.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hours, minutes) = rest.split_once(':')?;
    let seconds =
        hours.parse::<i32>().ok()?.checked_mul(3600)?.checked_add(minutes.parse::<i32>().ok()?.checked_mul(60)?)?;
    Offset::from_seconds(sign * seconds).ok()
}

/// A time of day, such as `17:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(Time);

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time =
            Time::strptime("%H:%M", &text).map_err(|_| D::Error::custom("expected a time of day such as \"17:00\""))?;
        Ok(Self(time))
    }
}

/// How to read a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'m> {
    pub(super) unit: TimeUnit,
    /// `strptime` directives; none: by its form.
    pub(super) format: Option<&'m str>,
    pub(super) zone: &'m Zone,
}

/// A time as given in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// An instant.
    At(UnixMs),
    /// A day, without a time.
    Day(Date),
}

impl Moment {
    /// The instant, or when the day begins.
    pub(super) fn beginning(self, zone: &Zone) -> Option<UnixMs> {
        match self {
            Self::At(at) => Some(at),
            Self::Day(day) => in_zone(day.to_datetime(Time::midnight()), zone),
        }
    }

    /// The instant, or the end of the day: at the given time of day, or else at midnight.
    pub(super) fn end(self, zone: &Zone, at: Option<TimeOfDay>) -> Option<UnixMs> {
        match (self, at) {
            (Self::At(at), _) => Some(at),
            (Self::Day(day), Some(TimeOfDay(time))) => in_zone(day.to_datetime(time), zone),
            (Self::Day(day), None) => match day.tomorrow() {
                Ok(tomorrow) => in_zone(tomorrow.to_datetime(Time::midnight()), zone),
                Err(_) => in_zone(day.to_datetime(Time::MAX), zone),
            },
        }
    }

    /// When the day ends, if it is a day.
    pub(super) fn day_ends(self, zone: &Zone) -> Option<UnixMs> {
        match self {
            Self::At(_) => None,
            Self::Day(_) => self.end(zone, None),
        }
    }

    /// Whether it is what systems write if no date is set: a year up to 1900, or the beginning of Unix time (west of
    /// Greenwich, that is the day before). Other old dates count: somebody may have been hired in 1985.
    pub(super) fn stands_for_none(self) -> bool {
        match self {
            Self::At(at) => at < DATES_FROM || at.0.unsigned_abs() < DAY_MS,
            Self::Day(day) => day.year() <= 1900 || [date(1969, 12, 31), date(1970, 1, 1)].contains(&day),
        }
    }

    /// Whether it never comes.
    pub(super) fn is_never(self) -> bool {
        match self {
            Self::At(at) => at >= NEVER_FROM,
            Self::Day(day) => day.year() == NEVER_YEAR,
        }
    }

    /// This many days earlier.
    pub(super) fn days_earlier(self, days: u32) -> Self {
        match self {
            Self::At(at) => Self::At(at.minus_ms(DAY_MS.saturating_mul(days.into()))),
            Self::Day(day) => Self::Day(day.checked_sub(i64::from(days).days()).unwrap_or(day)),
        }
    }
}

/// A wall clock time in a zone; in a gap or fold of daylight saving time, as if the clock had gone on. Later than the
/// last representable instant counts as that instant.
fn in_zone(at: DateTime, zone: &Zone) -> Option<UnixMs> {
    match zone.zone.to_timestamp(at) {
        Ok(at) => Some(UnixMs(at.as_millisecond())),
        Err(_) if at.year() == NEVER_YEAR => Some(LAST),
        Err(_) => None,
    }
}

/// Reads a time; none if there is none: blank, or a date of zeros.
pub(super) fn read(value: &Json<'_>, reading: Reading<'_>) -> Result<Option<Moment>, Problem> {
    let text = match value {
        Json::Text(text) => text.trim().to_owned(),
        Json::Number(number) => number.to_string(),
        Json::Null => return Ok(None),
        Json::Bool(_) | Json::List(_) | Json::Object(_) => {
            return Err(Problem::WrongType { expected: "text or a number", found: value.type_word() });
        }
    };
    if text.is_empty() || text.starts_with("0000-00-00") {
        return Ok(None);
    }
    let is_number = matches!(value, Json::Number(_));
    let moment = match (reading.format, reading.unit) {
        (Some(format), _) => formatted(format, &text, reading.zone),
        (None, TimeUnit::Auto) => by_form(&text, is_number, reading.zone),
        (None, TimeUnit::S) => unix(&text, |_| 1.0),
        (None, TimeUnit::Ms) => unix(&text, |_| 1e3),
        (None, TimeUnit::Rfc3339) if is_number => None,
        (None, TimeUnit::Rfc3339) => written(&text, reading.zone),
    };
    moment.map(Some).ok_or_else(|| Problem::NotATimestamp { chars: text.chars().count() })
}

/// Whether it is a time of day without a zone, so that the given one counts.
pub(super) fn is_zoneless(value: &Json<'_>, reading: Reading<'_>) -> bool {
    // Nobody's zone.
    let other = Zone { name: String::new(), zone: TimeZone::fixed(Offset::MAX) };
    let read_in = |reading| read(value, reading).ok().flatten();
    match (read_in(reading), read_in(Reading { zone: &other, ..reading })) {
        (Some(Moment::At(here)), Some(Moment::At(there))) => here != there,
        _ => false,
    }
}

fn by_form(text: &str, is_number: bool, zone: &Zone) -> Option<Moment> {
    let per_second = |number: f64| match number.abs() {
        // The end of the calendar in each unit: as the next smaller one, it would be an evening in January of 1978.
        size if (NEVER_SECONDS_FROM..NEVER_SECONDS_TO).contains(&size) => 1.0,
        size if (NEVER_SECONDS_FROM..NEVER_SECONDS_TO).contains(&(size / 1e3)) => 1e3,
        size if size < AUTO_MS_FROM => 1.0,
        size if size < AUTO_US_FROM => 1e3,
        _ => 1e6,
    };
    // OData: /Date(1700000000000)/, perhaps with an offset that does not change the instant.
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        let digits = inner.split(['+']).next().unwrap_or_default();
        return unix(digits, |_| 1e3);
    }
    // 20261122: a day. As seconds it would be in 1970.
    if text.len() == 8
        && text.bytes().all(|b| b.is_ascii_digit())
        && ["19", "20", "9999"].iter().any(|year| text.starts_with(year))
    {
        return Date::strptime("%Y%m%d", text).ok().map(Moment::Day);
    }
    let number = unix(text, per_second);
    if is_number { number } else { number.or_else(|| written(text, zone)) }
}

/// A time as text: with an offset, without one, a day, or as in e-mail headers.
fn written(text: &str, zone: &Zone) -> Option<Moment> {
    // One vendor writes `08:32:52. 119Z`.
    let close = text.replace(". ", ".");
    let text = close.as_str();
    if let Some((day, rest)) = text.split_at_checked(10)
        && let Ok(day) = day.parse::<Date>()
        && !rest.contains(':')
        && (rest.is_empty() || rest == "Z")
    {
        return Some(Moment::Day(day));
    }
    let at = |at: Timestamp| Moment::At(UnixMs(at.as_millisecond()));
    if let Ok(parsed) = text.parse::<Timestamp>() {
        return Some(at(parsed));
    }
    // The last two days of the calendar are not valid instants in every zone, and mean never.
    if let Some((at, _)) = text.split_at_checked(19)
        && let Ok(at) = at.parse::<DateTime>()
        && at.year() == NEVER_YEAR
    {
        return in_zone(at, zone).map(Moment::At);
    }
    // A day with an offset, as XML has it: 2026-11-22+01:00.
    if let Some((day, offset)) = text.split_at_checked(10)
        && let (Ok(day), Some(_)) = (day.parse::<Date>(), fixed_offset(offset))
    {
        return Some(Moment::Day(day));
    }
    if let Ok(parsed) = text.parse::<DateTime>() {
        return in_zone(parsed, zone).map(Moment::At);
    }
    rfc2822::parse(text).ok().map(|zoned| at(zoned.timestamp()))
}

fn formatted(format: &str, text: &str, zone: &Zone) -> Option<Moment> {
    let parts = BrokenDownTime::parse(format, text).ok()?;
    if let Ok(at) = parts.to_timestamp() {
        return Some(Moment::At(UnixMs(at.as_millisecond())));
    }
    if parts.hour().is_some() {
        return in_zone(parts.to_datetime().ok()?, zone).map(Moment::At);
    }
    parts.to_date().ok().map(Moment::Day)
}

/// A bare number as an instant, if it is within the calendar.
fn unix(text: &str, per_second: impl Fn(f64) -> f64) -> Option<Moment> {
    // serde_json's grammar: "inf", "NaN", "0x1" and "+5" are not numbers.
    let number: Number = serde_json::from_str(text).ok()?;
    let value = number.as_f64()?;
    let unit = per_second(value);
    let from = if unit < 10.0 { SECONDS_FROM } else { INSTANTS_FROM };
    if (1.0..=from).contains(&value) {
        return None;
    }
    // The end of the calendar, which no instant holds everywhere on earth.
    if (NEVER_SECONDS_FROM..NEVER_SECONDS_TO).contains(&(value / unit)) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range fits, and in a date that stands for never a millisecond does not matter"
        )]
        return Some(Moment::At(UnixMs((value / unit * 1e3) as i64).min(LAST)));
    }
    let at = match number.as_i64() {
        Some(whole) if unit < 10.0 => Timestamp::from_second(whole).ok()?,
        Some(whole) if unit < 1e4 => Timestamp::from_millisecond(whole).ok()?,
        Some(whole) => Timestamp::from_microsecond(whole).ok()?,
        None => {
            let since_epoch = jiff::SignedDuration::try_from_secs_f64(value / unit).ok()?;
            Timestamp::from_duration(since_epoch).ok()?.round(jiff::Unit::Millisecond).ok()?
        }
    };
    Some(Moment::At(UnixMs(at.as_millisecond())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        serde_json::from_value(serde_json::json!(name)).unwrap()
    }

    fn read_in(name: &str, value: &str) -> Option<Moment> {
        let zone = zone(name);
        let value = Json::parse(value).unwrap();
        read(&value, Reading { unit: TimeUnit::Auto, format: None, zone: &zone }).unwrap_or(None)
    }

    fn at(value: &str) -> Option<String> {
        match read_in("UTC", value)? {
            Moment::At(at) => Some(at.to_string()),
            Moment::Day(day) => Some(day.to_string()),
        }
    }

    #[test]
    fn times_are_read_as_hr_systems_write_them() {
        for (written, means) in [
            (r#""2026-01-31T18:42:00+0000""#, "2026-01-31T18:42:00Z"),
            (r#""2025-01-08T13:06:26.915906""#, "2025-01-08T13:06:26.915Z"),
            (r#""2026-03-02 10:00:00""#, "2026-03-02T10:00:00Z"),
            (r#""2026-03-02T10:00:00+02:00""#, "2026-03-02T08:00:00Z"),
            (r#""2024-05-06T08:32:52. 119Z""#, "2024-05-06T08:32:52.119Z"),
            (r#""Mon, 02 Mar 2026 10:00:00 +0100""#, "2026-03-02T09:00:00Z"),
            (r#""/Date(1700000000000+0000)/""#, "2023-11-14T22:13:20Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            (r#""1700000000""#, "2023-11-14T22:13:20Z"),
            ("1700000000123", "2023-11-14T22:13:20.123Z"),
            ("1700000000123456", "2023-11-14T22:13:20.123Z"),
            ("1700000000.123", "2023-11-14T22:13:20.123Z"),
            (r#""2026-12-31""#, "2026-12-31"),
            (r#""2026-12-31Z""#, "2026-12-31"),
            (r#""2026-12-31+01:00""#, "2026-12-31"),
            (r#""20261231""#, "2026-12-31"),
            ("20261231", "2026-12-31"),
        ] {
            assert_eq!(at(written).as_deref(), Some(means), "{written}");
        }
        for none in [r#""""#, r#""0000-00-00""#, "null", r#""yesterday""#, "[]", "1e300", r#""NaN""#, r#""2026-02-30""#]
        {
            assert_eq!(at(none), None, "{none}");
        }
        // A spreadsheet's count of days, a year, a month.
        for none in ["46419", r#""46419""#, "46419.5", "2027", r#""202702""#, "20279999", "100000000", "1"] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn without_a_zone_the_sources_own_counts_through_changes_of_daylight_time() {
        let berlin = |text: &str| match read_in("Europe/Berlin", text) {
            Some(Moment::At(at)) => at.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(berlin(r#""2026-07-01T10:00:00""#), "2026-07-01T08:00:00Z");
        assert_eq!(berlin(r#""2026-01-01T10:00:00""#), "2026-01-01T09:00:00Z");
        // In the hour that is left out in spring.
        assert_eq!(berlin(r#""2026-03-29T02:30:00""#), "2026-03-29T01:30:00Z");
        assert_eq!(berlin(r#""2026-07-01T10:00:00Z""#), "2026-07-01T10:00:00Z");
    }

    #[test]
    fn a_day_ends_with_it_or_at_a_time_of_day() {
        let day = Moment::Day("2026-03-28".parse().unwrap());
        let shown = |at: Option<UnixMs>| at.unwrap().to_string();
        assert_eq!(shown(day.end(&zone("Europe/Berlin"), None)), "2026-03-28T23:00:00Z");
        assert_eq!(shown(day.end(&zone("-05:00"), None)), "2026-03-29T05:00:00Z");
        let five: TimeOfDay = serde_json::from_value(serde_json::json!("17:00")).unwrap();
        assert_eq!(shown(day.end(&zone("UTC"), Some(five))), "2026-03-28T17:00:00Z");
        assert_eq!(shown(day.days_earlier(3).beginning(&zone("UTC"))), "2026-03-25T00:00:00Z");
    }

    #[test]
    fn placeholder_dates_are_distinguished_from_old_dates() {
        let stands_for_none = |text: &str| read_in("UTC", text).unwrap().stands_for_none();
        for none in [
            r#""0001-01-01T00:00:00Z""#,
            r#""0001-01-01T00:00:00""#,
            r#""0001-01-01""#,
            r#""1753-01-01""#,
            r#""1899-12-30""#,
            r#""1900-01-01""#,
            r#""1900-01-01T00:00:00+01:00""#,
            r#""1970-01-01T00:00:00Z""#,
            r#""1970-01-01""#,
            r#""1969-12-31""#,
            r#""1969-12-31T19:00:00-05:00""#,
            r#""1970-01-01T00:00:00+01:00""#,
            "0",
            r#""0""#,
        ] {
            assert!(stands_for_none(none), "{none}");
        }
        for some in [r#""1985-04-01""#, r#""1969-12-30""#, r#""1970-01-02""#, r#""1901-01-01""#, "481161600", "-86400"]
        {
            assert!(!stands_for_none(some), "{some}");
        }
    }

    #[test]
    fn the_end_of_the_calendar_means_never_and_is_no_error() {
        for text in ["9999-12-31", "9999-12-30", "9999-12-31T00:00:00Z", "9999-12-31T23:59:59.9999999", "99991231"] {
            let text = format!("\"{text}\"");
            for name in ["UTC", "-12:00", "Pacific/Kiritimati"] {
                let Some(moment) = read_in(name, &text) else { panic!("{text} {name}") };
                let five: TimeOfDay = serde_json::from_value(serde_json::json!("17:00")).unwrap();
                for end in [moment.end(&zone(name), None), moment.end(&zone(name), Some(five))] {
                    assert!(moment.is_never() && end.unwrap() >= NEVER_FROM, "{text} {name} {end:?}");
                }
            }
        }
        assert!(!read_in("UTC", r#""2999-12-31""#).unwrap().is_never());
    }

    #[test]
    fn the_end_of_the_calendar_is_recognised_in_every_unit() {
        let never = |unit, text: &str| {
            let zone = zone("UTC");
            let value = Json::parse(text).unwrap();
            let moment = read(&value, Reading { unit, format: None, zone: &zone });
            let Ok(Some(moment)) = moment else { panic!("{text} {moment:?}") };
            moment.is_never() && moment.end(&zone, None).is_some_and(|at| at <= LAST)
        };
        for (unit, second) in [(TimeUnit::S, "253402300799"), (TimeUnit::S, "253402214400.0")] {
            assert!(never(unit, second) && never(TimeUnit::Auto, second) && never(unit, &format!("\"{second}\"")));
        }
        for ms in ["253402300799999", "253402300799000", "253402214400000", "253370764800000"] {
            assert!(never(TimeUnit::Ms, ms) && never(TimeUnit::Auto, ms), "{ms}");
            assert!(never(TimeUnit::Auto, &format!("\"/Date({ms})/\"")), "{ms}");
            assert!(never(TimeUnit::Auto, &format!("\"/Date({ms}+0000)/\"")), "{ms}");
            assert!(never(TimeUnit::Auto, &format!("{ms}000")), "{ms}");
        }
        assert_eq!(at("253324800000").as_deref(), Some("1978-01-11T00:00:00Z"));
        assert_eq!(at("1700000000000000").as_deref(), Some("2023-11-14T22:13:20Z"));
        assert!(!never(TimeUnit::Auto, "32503680000"), "the year 3000");
    }

    #[test]
    fn a_format_reads_dates_of_any_other_form() {
        let zone = zone("Europe/Berlin");
        let read = |format: &str, text: &str| {
            let reading = Reading { unit: TimeUnit::Auto, format: Some(format), zone: &zone };
            match read(&Json::Text(text.into()), reading) {
                Ok(Some(Moment::At(at))) => at.to_string(),
                Ok(Some(Moment::Day(day))) => day.to_string(),
                Ok(None) => "none".to_owned(),
                Err(problem) => problem.to_string(),
            }
        };
        assert_eq!(read("%d/%m/%Y", "02/03/2026"), "2026-03-02");
        assert_eq!(read("%d.%m.%Y %H:%M", "02.07.2026 10:00"), "2026-07-02T08:00:00Z");
        assert_eq!(read("%Y-%m-%d %H:%M %z", "2026-07-02 10:00 +0000"), "2026-07-02T10:00:00Z");
        assert!(read("%d/%m/%Y", "2026-03-02").contains("not a timestamp"));
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        assert!(serde_json::from_value::<Zone>(serde_json::json!("Europe/Atlantis")).is_err());
        assert!(serde_json::from_value::<TimeOfDay>(serde_json::json!("25:00")).is_err());
    }
}
