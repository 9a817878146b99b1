//! Converts records to jq's values, and jq's values back to JSON.

use std::borrow::Cow;

use jaq_json::{Num, Val};
use serde_json::Number;

use crate::core::json::Json;

/// How large a record is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RecordSize {
    /// How many values it has, at all depths.
    pub(super) values: usize,
    /// How many bytes its texts and names take.
    pub(super) text_bytes: usize,
}

pub(super) fn size(record: &Json<'_>) -> RecordSize {
    let mut size = RecordSize::default();
    count(record, &mut size);
    size
}

fn count(value: &Json<'_>, size: &mut RecordSize) {
    size.values += 1;
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
        Json::Text(text) => size.text_bytes += text.len(),
        Json::List(items) => items.iter().for_each(|item| count(item, size)),
        Json::Object(members) => {
            for (name, value) in members {
                size.text_bytes += name.len();
                count(value, size);
            }
        }
    }
}

/// A record as a jq value.
pub(super) fn to_jq(value: &Json<'_>) -> Val {
    match value {
        Json::Null => Val::Null,
        Json::Bool(flag) => Val::from(*flag),
        Json::Number(number) => Val::Num(match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Num::from_integral(whole),
            (None, Some(whole)) => Num::from_integral(whole),
            (None, None) => Num::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Json::Text(text) => Val::from(text.clone().into_owned()),
        Json::List(items) => items.iter().map(to_jq).collect(),
        Json::Object(members) => {
            let text = |name: &Cow<'_, str>| Val::from(name.clone().into_owned());
            Val::obj(members.iter().map(|(name, value)| (text(name), to_jq(value))).collect())
        }
    }
}

/// A result as JSON; none if JSON cannot express it.
pub(super) fn from_jq(value: &Val) -> Option<Json<'static>> {
    let text = |value: &Val| match value {
        Val::TStr(bytes) | Val::BStr(bytes) => Some(Cow::Owned(String::from_utf8(bytes.to_vec()).ok()?)),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::Arr(_) | Val::Obj(_) => None,
    };
    Some(match value {
        Val::Null => Json::Null,
        Val::Bool(flag) => Json::Bool(*flag),
        Val::Num(_) => Json::Number(serde_json::from_str::<Number>(&value.to_string()).ok()?),
        Val::TStr(_) | Val::BStr(_) => Json::Text(text(value)?),
        Val::Arr(items) => Json::List(items.iter().map(from_jq).collect::<Option<_>>()?),
        Val::Obj(members) => {
            let members = members.iter().map(|(name, value)| Some((text(name)?, from_jq(value)?)));
            Json::Object(members.collect::<Option<_>>()?)
        }
    })
}
