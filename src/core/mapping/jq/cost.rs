//! An upper bound of a filter's cost. It walks through the filter and follows how many results each part gives, how
//! large they are, and how often it is evaluated. What it cannot bound is refused.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::Part;

use super::functions::{FUNCTIONS, Kind, names};
use super::growth::Growth;
use super::values::RecordSize;

/// How deep a filter's parts may nest, a chain of operators included.
const FILTER_DEPTH_MAX: usize = 40;
/// Steps: some 10 ms.
const STEPS_MAX: u64 = 300_000;
/// Bytes of all values that are held at once.
const HELD_BYTES_MAX: u64 = 64 << 20;
/// Bytes that are copied or compared: some 20 ms.
const MOVED_BYTES_MAX: u64 = 128 << 20;
/// A value's size besides its text.
const VALUE_BYTES: usize = 32;
/// How much longer a text may be as JSON: every character may be an escape.
const QUOTED: u64 = 6;
/// Comparisons for each entry of a list that is sorted.
const COMPARED: u64 = 8;
/// A person's record with a handful of fields. A filter that cannot read this can read nothing.
const SMALL: RecordSize = RecordSize { values: 30, text_bytes: 600 };

/// A filter's cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    steps: Growth,
    held: Growth,
    moved: Growth,
}

impl Cost {
    /// Computes the cost of a filter.
    ///
    /// # Errors
    /// A part that is not allowed.
    pub(super) fn of(term: &Term<&str>) -> Result<Self, String> {
        let nothing = Self { steps: Growth::ZERO, held: Growth::ZERO, moved: Growth::ZERO };
        let mut walk = Walk { cost: nothing, bound: Vec::new(), depth: 0 };
        walk.term(term, Growth::ONE, RECORD)?;
        if !walk.cost.allows(SMALL) {
            return Err("the filter could take too long: it goes through lists within lists within lists, makes \
                        lists of lists, or doubles texts again and again"
                .to_owned());
        }
        Ok(walk.cost)
    }

    /// Whether a record of this size may be filtered.
    pub(super) fn allows(&self, size: RecordSize) -> bool {
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let values = whole(size.values);
        let bytes = whole(size.values * VALUE_BYTES + size.text_bytes);
        self.steps.at(values, bytes) <= STEPS_MAX
            && self.held.at(values, bytes) <= HELD_BYTES_MAX
            && self.moved.at(values, bytes) <= MOVED_BYTES_MAX
    }
}

/// How large a value is at most.
#[derive(Clone, Copy)]
struct Extent {
    /// Its values, at all depths.
    values: Growth,
    /// Its bytes.
    bytes: Growth,
}

/// The record itself, or a part of it.
const RECORD: Extent = Extent { values: Growth::VALUES, bytes: Growth::BYTES };
/// A number, a truth value, a word.
const ATOM: Extent = Extent { values: Growth::ONE, bytes: Growth::constant(64) };

impl Extent {
    fn with(self, other: Self) -> Self {
        Self { values: self.values.plus(other.values), bytes: self.bytes.plus(other.bytes) }
    }

    fn listed(self, results: Growth) -> Self {
        Self { values: self.values.times(results).plus(Growth::ONE), bytes: self.bytes.times(results) }
    }
}

/// What a part returns each time it is evaluated.
#[derive(Clone, Copy)]
struct Given {
    results: Growth,
    each: Extent,
}

const fn one(each: Extent) -> Given {
    Given { results: Growth::ONE, each }
}

struct Walk<'t> {
    cost: Cost,
    bound: Vec<(&'t str, Extent)>,
    depth: usize,
}

impl<'t> Walk<'t> {
    /// A part that is evaluated this many times, on a value like this.
    fn term(&mut self, term: &Term<&'t str>, times: Growth, input: Extent) -> Result<Given, String> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return Err(format!("the filter is nested too deeply: at most {FILTER_DEPTH_MAX} parts in one another"));
        }
        let given = self.parts(term, times, input)?;
        self.depth -= 1;
        self.cost.steps = self.cost.steps.plus(times).plus(times.times(given.results));
        self.cost.held = self.cost.held.plus(given.each.bytes);
        Ok(given)
    }

    fn parts(&mut self, term: &Term<&'t str>, times: Growth, input: Extent) -> Result<Given, String> {
        Ok(match term {
            Term::Id => one(input),
            Term::Num(_) | Term::Arr(None) => one(ATOM),
            Term::Str(Some(format), _) => return Err(no_place(format)),
            Term::Str(None, parts) => {
                let mut given = one(ATOM);
                for part in parts {
                    let bytes = match part {
                        StrPart::Str(text) => Growth::constant(u64::try_from(text.len()).unwrap_or(u64::MAX)),
                        StrPart::Char(_) => Growth::constant(4),
                        StrPart::Term(term) => {
                            let part = self.term(term, times.times(given.results), input)?;
                            given.results = given.results.times(part.results);
                            part.each.bytes.by(QUOTED)
                        }
                    };
                    given.each.bytes = given.each.bytes.plus(bytes);
                }
                self.moved(times.times(given.results), given.each.bytes);
                given
            }
            Term::Var(name) => match self.bound.iter().rev().find(|(bound, _)| bound == name) {
                Some((_, extent)) => one(*extent),
                None => return Err(no_place(name)),
            },
            Term::Arr(Some(inner)) => {
                let inner = self.term(inner, times, input)?;
                one(inner.each.listed(inner.results))
            }
            Term::Obj(members) => {
                let mut given = one(ATOM);
                for (name, value) in members {
                    for part in [Some(name), value.as_ref()].into_iter().flatten() {
                        let part = self.term(part, times.times(given.results), input)?;
                        given = Given { results: given.results.times(part.results), each: given.each.with(part.each) };
                    }
                    if value.is_none() {
                        given.each = given.each.with(input);
                    }
                }
                given
            }
            Term::Neg(inner) | Term::TryCatch(inner, None) => self.term(inner, times, input)?,
            // The text of jq errors differs between implementations, and contains values.
            Term::TryCatch(_, Some(_)) => return Err(no_place("catch")),
            Term::BinOp(left, operator, right) => self.operation(left, operator, right, times, input)?,
            Term::IfThenElse(branches, otherwise) => {
                let mut given = match otherwise {
                    Some(term) => self.term(term, times, input)?,
                    None => one(input),
                };
                for (condition, then) in branches.iter().rev() {
                    let condition = self.term(condition, times, input)?;
                    let then = self.term(then, times.times(condition.results), input)?;
                    given = either(&Given { results: condition.results.times(then.results), ..then }, &given);
                }
                given
            }
            Term::Call(name, arguments) => self.call(name, arguments, times, input)?,
            Term::Path(from, path) => {
                let mut given = self.term(from, times, input)?;
                for (part, _) in &path.0 {
                    match part {
                        Part::Range(None, None) => given.results = given.results.times(given.each.values),
                        Part::Index(index) => self.index(index, &mut given, times, input)?,
                        Part::Range(from, to) => {
                            for bound in from.iter().chain(to) {
                                self.index(bound, &mut given, times, input)?;
                            }
                            self.moved(times.times(given.results), given.each.bytes);
                        }
                    }
                    self.cost.steps = self.cost.steps.plus(times.times(given.results));
                }
                given
            }
            Term::Recurse => return Err(no_place("..")),
            Term::Label(..) | Term::Break(_) => return Err(no_place("label")),
            Term::Fold(name, ..) => return Err(no_place(name)),
            Term::Def(..) => return Err(no_place("def")),
        })
    }

    fn index(&mut self, index: &Term<&'t str>, given: &mut Given, times: Growth, input: Extent) -> Result<(), String> {
        let index = self.term(index, times.times(given.results), input)?;
        given.results = given.results.times(index.results);
        Ok(())
    }

    fn operation(
        &mut self,
        left: &Term<&'t str>,
        operator: &BinaryOp<&'t str>,
        right: &Term<&'t str>,
        times: Growth,
        input: Extent,
    ) -> Result<Given, String> {
        let first = self.term(left, times, input)?;
        let again = times.times(first.results);
        let pairs = |second: Given| first.results.times(second.results);
        Ok(match operator {
            BinaryOp::Pipe(None) => {
                let second = self.term(right, again, first.each)?;
                Given { results: pairs(second), ..second }
            }
            BinaryOp::Pipe(Some(Pattern::Var(name))) => {
                self.bound.push((*name, first.each));
                let second = self.term(right, again, input)?;
                self.bound.pop();
                Given { results: pairs(second), ..second }
            }
            BinaryOp::Pipe(Some(_)) => return Err(no_place("a pattern")),
            BinaryOp::Comma | BinaryOp::Alt => either(&first, &self.term(right, times, input)?),
            BinaryOp::Or | BinaryOp::And => Given { results: pairs(self.term(right, again, input)?), each: ATOM },
            BinaryOp::Cmp(_) => {
                let second = self.term(right, again, input)?;
                if !is_fixed(left) && !is_fixed(right) {
                    self.moved(times.times(pairs(second)), first.each.bytes.plus(second.each.bytes));
                    self.cost.steps = self.cost.steps.plus(times.times(pairs(second)).times(second.each.values));
                }
                Given { results: pairs(second), each: ATOM }
            }
            BinaryOp::Math(math @ (Math::Add | Math::Sub)) => {
                let second = self.term(right, again, input)?;
                let each = first.each.with(second.each);
                self.moved(times.times(pairs(second)), each.bytes);
                if *math == Math::Sub {
                    let compared = first.each.values.times(second.each.values);
                    self.cost.steps = self.cost.steps.plus(times.times(pairs(second)).times(compared));
                }
                Given { results: pairs(second), each }
            }
            // A text times a number is a text of any length.
            BinaryOp::Math(_) => return Err(no_place("* / %")),
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
                return Err(no_place("="));
            }
        })
    }

    fn call(&mut self, name: &str, arguments: &[Term<&'t str>], times: Growth, input: Extent) -> Result<Given, String> {
        let known = FUNCTIONS.iter().find(|(known, count, _)| *known == name && *count == arguments.len());
        let (_, _, kind) = known.ok_or_else(|| no_place(&format!("{name}/{}", arguments.len())))?;
        let is_for_each = matches!(kind, Kind::Map | Kind::Ask | Kind::OrderedBy);
        let asked = if is_for_each { times.times(input.values) } else { times };
        let mut argument = one(ATOM);
        for term in arguments {
            argument = self.term(term, asked, input)?;
        }
        let all = times.times(argument.results);
        match kind {
            Kind::Argument => return Ok(one(argument.each)),
            Kind::Select => return Ok(Given { results: argument.results, each: input }),
            Kind::Map => return Ok(one(argument.each.listed(argument.results.times(input.values)))),
            Kind::Ask => return Ok(one(ATOM)),
            Kind::Atom | Kind::Same | Kind::Quoted | Kind::Pieces => self.moved(all, input.bytes),
            Kind::Entries | Kind::Joined => {
                self.cost.steps = self.cost.steps.plus(all.times(input.values).by(4));
                self.moved(all, input.bytes.plus(input.values.times(argument.each.bytes)));
            }
            Kind::Ordered => self.ordered(times, input, input),
            Kind::OrderedBy => self.ordered(times, input, argument.each.listed(argument.results.times(input.values))),
            Kind::Search => {
                let searched = input.values.times(argument.each.values);
                self.cost.steps = self.cost.steps.plus(all.times(searched));
                self.moved(all, input.bytes.by(COMPARED).plus(argument.each.bytes));
            }
        }
        let each = match kind {
            Kind::Atom | Kind::Search => ATOM,
            Kind::Same | Kind::Ordered | Kind::OrderedBy => input,
            Kind::Quoted => Extent { values: Growth::ONE, bytes: input.bytes.by(QUOTED) },
            Kind::Entries => Extent { values: input.values.by(4), bytes: input.bytes.by(4) },
            Kind::Joined => {
                let separators = input.values.times(argument.each.bytes);
                Extent { values: Growth::ONE, bytes: input.bytes.plus(separators) }
            }
            Kind::Pieces => Extent { values: input.bytes, bytes: input.bytes.by(32) },
            Kind::Argument | Kind::Select | Kind::Map | Kind::Ask => argument.each,
        };
        let results = if matches!(kind, Kind::OrderedBy | Kind::Ordered) { Growth::ONE } else { argument.results };
        Ok(Given { results, each })
    }

    /// A list whose entries are compared by these keys.
    fn ordered(&mut self, times: Growth, list: Extent, keys: Extent) {
        self.cost.steps = self.cost.steps.plus(times.times(list.values).by(COMPARED));
        self.cost.held = self.cost.held.plus(keys.bytes);
        self.moved(times, list.bytes.plus(keys.bytes).by(COMPARED));
    }

    fn moved(&mut self, times: Growth, bytes: Growth) {
        self.cost.moved = self.cost.moved.plus(times.times(bytes));
    }
}

fn either(left: &Given, right: &Given) -> Given {
    Given { results: left.results.plus(right.results), each: left.each.with(right.each) }
}

/// Whether it is a literal text or number, no longer than the filter itself.
fn is_fixed(term: &Term<&str>) -> bool {
    match term {
        Term::Num(_) | Term::Arr(None) => true,
        Term::Str(None, parts) => parts.iter().all(|part| !matches!(part, StrPart::Term(_))),
        Term::Call(name, arguments) => arguments.is_empty() && matches!(*name, "true" | "false" | "null"),
        _ => false,
    }
}

fn no_place(what: &str) -> String {
    format!("`{what}` is not allowed in a filter; allowed are: {}", names())
}
