//! A request's JSON body whose texts are templates.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::template::{Slot, Template, as_it_is};

/// The text that is replaced by the id as a number.
const ID_AS_NUMBER: &str = "{id:number}";

/// JSON whose texts are templates; an inserted value is always part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Fixed(Value),
    Text(Template),
    /// The text `{id:number}`: the id as a number, for GraphQL's `Int`.
    IdAsNumber,
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Body {
    /// The JSON text; none if a value is missing.
    pub(super) fn fill(&self, value_of: &dyn Fn(&Slot) -> Option<String>) -> Option<String> {
        Some(fill(&self.0, value_of)?.to_string())
    }

    /// Its placeholders.
    pub(super) fn slots(&self) -> Vec<&Slot> {
        let mut slots = Vec::new();
        collect(&self.0, &mut slots);
        slots
    }
}

fn collect<'b>(node: &'b Node, slots: &mut Vec<&'b Slot>) {
    match node {
        Node::Fixed(_) => {}
        Node::IdAsNumber => slots.push(&Slot::Id),
        Node::Text(template) => slots.extend(template.slots()),
        Node::List(items) => items.iter().for_each(|item| collect(item, slots)),
        Node::Object(members) => members.iter().for_each(|(_, member)| collect(member, slots)),
    }
}

fn fill(node: &Node, value_of: &dyn Fn(&Slot) -> Option<String>) -> Option<Value> {
    Some(match node {
        Node::Fixed(value) => value.clone(),
        Node::Text(template) => Value::String(template.fill(value_of, as_it_is)?),
        Node::IdAsNumber => Value::from(value_of(&Slot::Id)?.parse::<i64>().ok()?),
        Node::List(items) => Value::Array(items.iter().map(|item| fill(item, value_of)).collect::<Option<_>>()?),
        Node::Object(members) => {
            let filled = members.iter().map(|(name, member)| Some((name.clone(), fill(member, value_of)?)));
            Value::Object(filled.collect::<Option<Map<_, _>>>()?)
        }
    })
}

fn read(value: Value) -> Result<Node, String> {
    Ok(match value {
        Value::String(text) if text == ID_AS_NUMBER => Node::IdAsNumber,
        Value::String(text) => Node::Text(Template::parse(&text)?),
        Value::Array(items) => Node::List(items.into_iter().map(read).collect::<Result<_, _>>()?),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, member)| Ok((name, read(member)?)));
            Node::Object(members.collect::<Result<_, String>>()?)
        }
        fixed @ (Value::Null | Value::Bool(_) | Value::Number(_)) => Node::Fixed(fixed),
    })
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(Value::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_is_written_as_a_number_where_one_is_wanted() {
        let body: Body = serde_json::from_str(r#"{"variables":{"id":"{id:number}"}}"#).unwrap();
        let filled = |id: &str| body.fill(&|_| Some(id.to_owned()));
        assert_eq!(filled("1234567").as_deref(), Some(r#"{"variables":{"id":1234567}}"#));
        assert_eq!(filled("7) { email }"), None);
    }

    #[test]
    fn an_id_with_quotes_stays_a_text() {
        let body: Body = toml::from_str::<std::collections::BTreeMap<String, Body>>(
            "b = { requests = [{ individual_id = '{id}' }], n = 1 }",
        )
        .unwrap()
        .remove("b")
        .unwrap();
        let filled = body.fill(&|_| Some("a\",\"x\":\"".to_owned())).unwrap();
        let read: Value = serde_json::from_str(&filled).unwrap();
        assert_eq!(read["requests"][0]["individual_id"], "a\",\"x\":\"");
        assert_eq!(read["n"], 1);
    }
}
