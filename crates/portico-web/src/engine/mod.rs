//! The template engine as packages see it: a closed list of filters, tests and functions, every step metered.

mod filters;
mod functions;
mod meter;
mod text;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};

pub(crate) use meter::{Limits, Render, Spent, with_render};
pub(crate) use text::escape_into;

/// Filters that packages may use.
pub(crate) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "bytes",
    "capitalize",
    "count",
    "d",
    "datetime",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "groupby",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "number",
    "reject",
    "rejectattr",
    "relative",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
];

/// Tests that packages may use.
pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

/// Functions that packages may call.
pub(crate) const FUNCTIONS: &[&str] = &[
    "asset",
    "can",
    "dict",
    "image",
    "link",
    "namespace",
    "range",
    "t",
    "url",
];

/// An environment with everything above and no templates.
pub(crate) fn environment(limits: &Limits) -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_fuel(Some(limits.fuel));
    env.set_recursion_limit(64);
    env.set_formatter(text::format);
    filters::install(&mut env);
    functions::install(&mut env);
    env
}
