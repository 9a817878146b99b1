//! The layers as one TOML tree, and keys as paths into it.

use std::fmt;

use toml::{Table, Value};

/// Keys that exclude each other in a table: setting one removes the others.
const EITHER_OR: &[&[&str]] = &[&["value", "env", "file"], &["single", "list", "pairs"], &["header", "json", "pair"]];

/// One step of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// An entry of a list.
    Index(usize),
    /// A member of a table.
    Name(String),
}

/// A key as the errors show it: `source[0].name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Key(pub(super) Vec<Step>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) if n == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

impl From<&serde_path_to_error::Path> for Key {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let steps = path.iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Name(key.clone())),
            Segment::Enum { variant } => Some(Step::Name(variant.clone())),
            Segment::Unknown => None,
        });
        Self(steps.collect())
    }
}

impl From<&serde_ignored::Path<'_>> for Key {
    fn from(path: &serde_ignored::Path<'_>) -> Self {
        use serde_ignored::Path;
        let (parent, step) = match path {
            Path::Root => return Self::default(),
            Path::Seq { parent, index } => (parent, Some(Step::Index(*index))),
            Path::Map { parent, key } => (parent, Some(Step::Name(key.clone()))),
            Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => (parent, None),
        };
        let mut key = Self::from(*parent);
        key.0.extend(step);
        key
    }
}

/// The value of a key.
pub(super) fn get_mut<'t>(tree: &'t mut Value, steps: &[Step]) -> Option<&'t mut Value> {
    steps.iter().try_fold(tree, |value, step| match (value, step) {
        (Value::Table(table), Step::Name(name)) => table.get_mut(name),
        (Value::Array(items), Step::Index(index)) => items.get_mut(*index),
        _ => None,
    })
}

/// Removes a member of a table. An entry of a list is not removed, as that would move the others.
pub(super) fn remove(tree: &mut Value, key: &Key) -> Option<Value> {
    let (Step::Name(name), parent) = key.0.split_last()? else { return None };
    get_mut(tree, parent)?.as_table_mut()?.remove(name)
}

/// Puts a text at a key, creating tables and the next list entry on the way.
///
/// # Errors
/// Where an index leaves a gap.
pub(super) fn set(tree: &mut Value, key: &Key, text: String) -> Result<(), &'static str> {
    let mut place = tree;
    for step in &key.0 {
        let next = match step {
            Step::Name(name) => make_table(place).map(|table| member(table, name)),
            Step::Index(index) => make_list(place).and_then(|items| entry(items, *index)),
        };
        place = next.ok_or("an index leaves a gap in its list")?;
    }
    *place = Value::String(text);
    Ok(())
}

fn member<'t>(table: &'t mut Table, name: &str) -> &'t mut Value {
    for others in EITHER_OR.iter().filter(|names| names.contains(&name)) {
        table.retain(|other, _| other == name || !others.contains(&other));
    }
    table.entry(name).or_insert_with(|| Value::Table(Table::new()))
}

fn entry(items: &mut Vec<Value>, index: usize) -> Option<&mut Value> {
    if index == items.len() {
        items.push(Value::Table(Table::new()));
    }
    items.get_mut(index)
}

fn make_table(place: &mut Value) -> Option<&mut Table> {
    if !place.is_table() {
        *place = Value::Table(Table::new());
    }
    place.as_table_mut()
}

fn make_list(place: &mut Value) -> Option<&mut Vec<Value>> {
    if !place.is_array() {
        *place = Value::Array(Vec::new());
    }
    place.as_array_mut()
}

/// The word for a TOML type.
pub(super) fn type_word(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(steps: &[&str]) -> Key {
        let step = |s: &&str| s.parse().map_or_else(|_| Step::Name((*s).to_owned()), Step::Index);
        Key(steps.iter().map(step).collect())
    }

    #[test]
    fn a_key_reads_as_the_errors_show_it() {
        assert_eq!(key(&["source", "0", "secrets", "1", "env"]).to_string(), "source[0].secrets[1].env");
    }

    #[test]
    fn one_way_to_give_a_secret_replaces_the_other() {
        let mut tree = Value::Table(toml::from_str("[postman]\nkey = { env = 'A' }").unwrap());
        set(&mut tree, &key(&["postman", "key", "file"]), "/b".into()).unwrap();
        assert_eq!(tree, Value::Table(toml::from_str("[postman]\nkey = { file = '/b' }").unwrap()));
    }

    #[test]
    fn a_list_grows_by_its_next_entry_only() {
        let mut tree = Value::Table(Table::new());
        set(&mut tree, &key(&["source", "0", "name"]), "a".into()).unwrap();
        set(&mut tree, &key(&["source", "1", "name"]), "b".into()).unwrap();
        assert!(set(&mut tree, &key(&["source", "3", "name"]), "d".into()).is_err());
        assert_eq!(tree["source"][1]["name"].as_str(), Some("b"));
    }
}
