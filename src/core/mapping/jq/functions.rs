//! Every function that a filter may call, with what bounds its cost and its result.

/// What a function does with its input and its arguments, as far as it affects steps and sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Looks at its input, and returns a truth value, a number or a word.
    Atom,
    /// Returns its input, an entry of it, or a text made of it.
    Same,
    /// Returns its input as JSON text.
    Quoted,
    /// Returns a list of names and values.
    Entries,
    /// Returns a text of all entries, with the argument between them.
    Joined,
    /// Returns a list of a text's pieces.
    Pieces,
    /// Compares or moves every entry.
    Ordered,
    /// Looks for one value in another.
    Search,
    /// Its argument's results.
    Argument,
    /// Its input, for each result of the argument.
    Select,
    /// A list of the argument's results for each entry.
    Map,
    /// Evaluates its argument for each entry, and returns a truth value.
    Ask,
    /// Orders or chooses entries by the argument.
    OrderedBy,
}

/// Each with the number of its arguments, in alphabetical order.
pub(super) const FUNCTIONS: &[(&str, usize, Kind)] = &[
    ("add", 0, Kind::Ordered),
    ("all", 0, Kind::Ordered),
    ("all", 1, Kind::Ask),
    ("any", 0, Kind::Ordered),
    ("any", 1, Kind::Ask),
    ("arrays", 0, Kind::Same),
    ("ascii_downcase", 0, Kind::Same),
    ("ascii_upcase", 0, Kind::Same),
    ("booleans", 0, Kind::Same),
    ("contains", 1, Kind::Search),
    ("empty", 0, Kind::Atom),
    ("endswith", 1, Kind::Atom),
    ("false", 0, Kind::Atom),
    ("first", 0, Kind::Same),
    ("first", 1, Kind::Argument),
    ("has", 1, Kind::Atom),
    ("join", 1, Kind::Joined),
    ("keys", 0, Kind::Ordered),
    ("last", 0, Kind::Same),
    ("length", 0, Kind::Atom),
    ("ltrimstr", 1, Kind::Same),
    ("map", 1, Kind::Map),
    ("max", 0, Kind::Ordered),
    ("max_by", 1, Kind::OrderedBy),
    ("min", 0, Kind::Ordered),
    ("min_by", 1, Kind::OrderedBy),
    ("not", 0, Kind::Atom),
    ("null", 0, Kind::Atom),
    ("nulls", 0, Kind::Same),
    ("numbers", 0, Kind::Same),
    ("objects", 0, Kind::Same),
    ("reverse", 0, Kind::Ordered),
    ("rtrimstr", 1, Kind::Same),
    ("scalars", 0, Kind::Same),
    ("select", 1, Kind::Select),
    ("sort", 0, Kind::Ordered),
    ("sort_by", 1, Kind::OrderedBy),
    ("split", 1, Kind::Pieces),
    ("startswith", 1, Kind::Atom),
    ("strings", 0, Kind::Same),
    ("to_entries", 0, Kind::Entries),
    ("tonumber", 0, Kind::Same),
    ("tostring", 0, Kind::Quoted),
    ("true", 0, Kind::Atom),
    ("type", 0, Kind::Atom),
    ("unique", 0, Kind::Ordered),
    ("unique_by", 1, Kind::OrderedBy),
    ("values", 0, Kind::Same),
];

/// Those of them that are defined by others, as in the jq manual; the rest is native or jaq's own. `isnumeral` passes
/// only a short number to the parser, which would otherwise follow any depth of brackets.
pub(super) const DEFINITIONS: &str = r#"
def null: [][0];
def isboolean: . == true or . == false;
def isnumber: . > true and . < "";
def isstring: . >= "" and . < [];
def type: if . == null then "null" elif isboolean then "boolean" elif . < "" then "number" elif . < [] then "string"
  elif . < {} then "array" else "object" end;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(isboolean);
def numbers: select(isnumber);
def strings: select(isstring);
def arrays: select(. >= [] and . < {});
def objects: select(. >= {});
def scalars: select(. < []);
def add: reduce .[] as $x (null; . + $x);
def keys: keys_unsorted | sort;
def min_by(f): reduce min_by_or_empty(f) as $x (null; $x);
def max_by(f): reduce max_by_or_empty(f) as $x (null; $x);
def min: min_by(.);
def max: max_by(.);
def unique_by(f): [group_by(f)[] | .[0]];
def unique: unique_by(.);
def native_ltrimstr($s): ltrimstr($s);
def native_rtrimstr($s): rtrimstr($s);
def ltrimstr($s): if isstring and ($s | isstring) then native_ltrimstr($s) else . end;
def rtrimstr($s): if isstring and ($s | isstring) then native_rtrimstr($s) else . end;
def tostring: if isstring then . else "\(.)" end;
def join($s): reduce (.[] | if . == null then "" elif isstring then . elif . >= [] then error("cannot join") else tostring end) as $x
  (null; if . == null then $x else . + $s + $x end) | if . == null then "" else . end;
def split($sep): if isstring and ($sep | isstring) then . / $sep else error("split input and separator must be strings") end;
def isnumeral: length > 0 and length <= 64 and (explode | all(.[]; (. >= 48 and . <= 57) or . == 43 or . == 45 or . == 46 or . == 69 or . == 101));
def tonumber: if isnumber then . elif isstring and isnumeral then [fromjson]
  | if length == 1 and (.[0] | isnumber) then .[0] else error("cannot parse as number") end
  else error("cannot parse as number") end;
"#;

/// The functions of a filter, for the error about an unknown one.
pub(super) fn names() -> String {
    let mut names: Vec<&str> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
    names.dedup();
    names.join(", ")
}
