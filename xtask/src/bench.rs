//! `cargo xtask bench`: ours beside Hypha, NATS and the ceilings, on one machine and in one run.
//!
//! Every measurement starts new processes; the systems take turns in each round, so that a slow minute of the machine
//! hits them all. A cell of the table is the median of the rounds, with the lowest and the highest.

mod ask;
mod bodies;
mod cost;
mod data;
mod foreign;
mod goals;
mod http;
mod idle;
mod login;
mod machine;
mod options;
mod page;
mod registry;
mod report;
mod results;
mod row;
mod rpc;
mod sample;
mod server;
pub(crate) mod soak;
mod stand;
mod start;
mod table;

use crate::child;
use crate::failure::Outcome;
use crate::layout::Layout;
use crate::step::say;

use options::Options;
use results::Results;
use row::{Group, Row};
use stand::Stand;

pub(crate) fn run(layout: &Layout, arguments: &[String]) -> Outcome {
    let Some(options) = Options::parse(arguments)? else { return Ok(()) };
    child::end_children_on_interrupt(130)?;
    let rows: Vec<Row> = row::all().into_iter().filter(|row| options.wants(row)).collect();
    let stand = Stand::prepare(layout, &options, &rows)?;
    let mut results = Results::default();
    for round in 1..=options.rounds {
        for row in &rows {
            say(&format!("round {round} of {}: {row}", options.rounds));
            match measure(&stand, row) {
                Ok(figures) => results.add(*row, &figures),
                Err(failure) => results.fail(*row, &failure.to_string()),
            }
            stand.take_remarks().iter().for_each(|remark| results.remark(*row, remark));
        }
    }
    report::publish(layout, &options, &results)
}

fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let figures = match row.group {
        Group::Http | Group::Frameworks | Group::Asgi | Group::Services => http::measure(stand, row),
        Group::Bodies => bodies::measure(stand, row),
        Group::Cost => cost::measure(stand, row),
        Group::Rpc => rpc::measure(stand, row),
        Group::Data => data::measure(stand, row),
        Group::Start => start::measure(stand, row),
        Group::Idle => idle::measure(stand, row),
        Group::Registry => registry::measure(stand, row),
        Group::Login => login::measure(stand, row),
    }?;
    for (name, value) in &figures {
        println!("    {name:<24} {}", table::number(*value));
    }
    Ok(figures)
}
