//! The planner from outside: worlds as data in, plans and snapshots as text out.

mod carrying_out;
mod lookups;
mod plans;
mod properties;
mod refusals;
mod resolving;
mod world;
