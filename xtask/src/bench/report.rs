//! The tables, on the terminal and in docs/performance.md.

use crate::bench::options::Options;
use crate::bench::page::{Figures, PAGE, write};
use crate::bench::results::Results;
use crate::bench::row::{Group, Row, System};
use crate::bench::table::{cell, markdown, ratio};
use crate::bench::{bodies, cost, data, goals, http, idle, login, machine, registry, rpc, start};
use crate::failure::{Failure, Outcome};
use crate::layout::Layout;

pub(super) fn publish(layout: &Layout, options: &Options, results: &Results) -> Outcome {
    let figures = figures(layout, options, results);
    println!("\n{}", figures.text());
    if options.writes_page() {
        write(layout, figures)?;
        println!("written to {PAGE}");
    }
    // what other systems cannot do stands on the page
    let failures: Vec<_> = results.failures().iter().filter(|(row, _)| row.system.is_ours()).collect();
    if failures.is_empty() {
        return Ok(());
    }
    let told = failures.iter().map(|(row, reason)| format!("{row}: {reason}")).collect::<Vec<_>>();
    Err(Failure::new(format!("{} measurements failed:\n  {}", told.len(), told.join("\n  "))))
}

fn figures(layout: &Layout, options: &Options, results: &Results) -> Figures {
    let sections =
        Group::ALL.into_iter().filter_map(|group| Some((group, section(options, results, group)?)));
    Figures { machine: machine::facts(layout), goals: goals::rows(results), sections: sections.collect() }
}

/// How a group was measured, its table, and what of it could not be.
fn section(options: &Options, results: &Results, group: Group) -> Option<String> {
    let failures = results.missing().filter(|(row, _)| row.group == group);
    let failures: Vec<String> = failures.map(|(row, reason)| format!("- {row}: {reason}\n")).collect();
    let table = table(results, group);
    if table.is_empty() && failures.is_empty() {
        return None;
    }
    let rounds =
        if options.rounds == 1 { "1 round".to_owned() } else { format!("{} rounds", options.rounds) };
    let mut text = format!(
        "`{}`, {}, {rounds}, {} s a figure\n\n{table}",
        options.command,
        machine::today(),
        options.window
    );
    if !failures.is_empty() {
        text += &format!("\nNot measured:\n\n{}", failures.concat());
    }
    Some(text)
}

fn table(results: &Results, group: Group) -> String {
    let hypha = (System::Hypha, "rate to Hypha's");
    match group {
        Group::Http => http::table(results, group, &[hypha, (System::Relay, "rate to the relay's")]),
        Group::Frameworks => {
            http::table(results, group, &[(System::FunctionsFramework, "rate to functions-framework's")])
        }
        Group::Asgi => http::table(results, group, &[hypha, (System::Uvicorn, "rate to uvicorn's")]),
        Group::Services => http::table(results, group, &[hypha]),
        Group::Rpc => rpc::table(results),
        Group::Bodies => each(results, group, "served by", &bodies::FIGURES),
        Group::Cost => each(results, group, "served by", &cost::FIGURES),
        Group::Data => each(results, group, "caller-callee", &data::FIGURES),
        Group::Start => each(results, group, "inside of", &start::FIGURES),
        Group::Idle => each(results, group, "", &idle::FIGURES),
        Group::Registry => each(results, group, "", &registry::FIGURES),
        Group::Login => each(results, group, "", &login::FIGURES),
    }
}

/// One line for each figure and system.
fn each(results: &Results, group: Group, languages: &str, figures: &[(&str, &str)]) -> String {
    let mut lines = Vec::new();
    let rows: Vec<Row> = results.group(group).collect();
    for (name, title) in figures {
        for row in rows.iter().filter(|row| results.figure(**row, name).is_some()) {
            let median = |system| results.median(group, system, row.language, name);
            let mut line =
                vec![(*title).to_owned(), row.language.word().to_owned(), row.system.title().to_owned()];
            line.push(cell(results.figure(*row, name)));
            line.push(ratio(median(row.system), median(System::Hypha)));
            lines.push(line);
        }
    }
    let head = ["what", languages, "system", "measured", "to Hypha's"];
    if languages.is_empty() {
        lines.iter_mut().for_each(|line| drop(line.remove(1)));
        return markdown(&[head[0], head[2], head[3], head[4]], &lines);
    }
    markdown(&head, &lines)
}
