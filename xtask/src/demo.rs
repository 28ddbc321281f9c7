//! `cargo xtask demo [--once]`: a server, a Python and a Node program, and calls between all of them.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::build::{self, Packages};
use crate::child::{Child, end_children_on_interrupt};
use crate::failure::{During as _, Failure, Outcome};
use crate::fetch;
use crate::layout::{Layout, Profile};
use crate::step::say;
use crate::tools;

const PATIENCE: Duration = Duration::from_secs(30);

/// A program that serves functions, and where they are found.
struct Program {
    name: &'static str,
    child: Child,
    /// The service for calls from other programs.
    service: String,
    /// The path of its functions over HTTP.
    path: String,
}

pub(crate) fn run(layout: &Layout, arguments: &[String]) -> Outcome {
    let once = match arguments {
        [] => false,
        [flag] if flag == "--once" => true,
        _ => return Err(Failure::new("usage: cargo xtask demo [--once]")),
    };
    end_children_on_interrupt(0)?;
    let packages = prepare(layout)?;
    let (_server, url) = server(layout)?;
    let address: SocketAddr = url.trim_start_matches("http://").parse().during("the server's address")?;
    let mut python = python(layout, &packages, &url)?;
    let mut node = node(layout, &packages, &url)?;
    for program in [&python, &node] {
        over_http(address, &url, program)?;
    }
    call(&mut python, &node)?;
    call(&mut node, &python)?;
    if once {
        return Ok(());
    }
    println!("\nTry it yourself; Ctrl-C ends it:");
    for program in [&python, &node] {
        println!("  curl '{url}{}/hello?name=you'", program.path);
    }
    println!("  curl {url}/health/readiness");
    loop {
        thread::park();
    }
}

fn prepare(layout: &Layout) -> Outcome<Packages> {
    tools::packages(layout)?;
    build::compile(layout, Profile::Release, &["polyfn-server", "polyfn-python", "polyfn-node"])?;
    build::apart(layout, Profile::Release)
}

fn server(layout: &Layout) -> Outcome<(Child, String)> {
    say("starting the server");
    let mut serve = Command::new(layout.binary(Profile::Release, "polyfn"));
    serve
        .args(["serve", "--host", "127.0.0.1", "--port", "0", "--database-uri", "sqlite::memory:"])
        .env("POLYFN_LOG", "warn")
        .env("RUST_LOG", "warn");
    let mut child = Child::start("the server", serve, None)?;
    let line = child.line(PATIENCE)?;
    println!("{line}");
    let url = line.split(" ready at ").nth(1).map(str::to_owned);
    Ok((child, url.ok_or_else(|| Failure::new(format!("the server did not say where it is: {line}")))?))
}

fn python(layout: &Layout, packages: &Packages, url: &str) -> Outcome<Program> {
    let mut program = Command::new(tools::base_interpreter()?);
    program.args(["-u", "demo.py"]).env("PYTHONPATH", &packages.python);
    start(layout, "Python", program, url)
}

fn node(layout: &Layout, packages: &Packages, url: &str) -> Outcome<Program> {
    let mut program = Command::new("node");
    program.arg("demo.mjs").env("POLYFN_PACKAGE", &packages.node);
    start(layout, "Node", program, url)
}

fn start(layout: &Layout, name: &'static str, mut program: Command, url: &str) -> Outcome<Program> {
    say(&format!("starting the {name} program"));
    program.current_dir(layout.at("examples/demo")).arg(url);
    let mut child = Child::start(name, program, None)?;
    let told: Value = serde_json::from_str(&child.line(PATIENCE)?)?;
    let word = |key: &str| told[key].as_str().map(str::to_owned);
    let missing = || Failure::new(format!("the {name} program did not say where its functions are: {told}"));
    let (service, path) = (word("service").ok_or_else(missing)?, word("path").ok_or_else(missing)?);
    Ok(Program { name, child, service, path })
}

fn over_http(address: SocketAddr, url: &str, program: &Program) -> Outcome {
    for path in ["/hello?name=Ada", "/math/add?a=2&b=3"] {
        let path = format!("{}{path}", program.path);
        let answer = fetch::get(address, &path)?;
        show(
            "HTTP",
            program.name,
            &format!("GET {url}{path}"),
            &format!("{} {}", answer.status, answer.body),
        );
        if answer.status != 200 {
            return Err(Failure::new(format!("the function in {} did not answer with 200", program.name)));
        }
    }
    Ok(())
}

/// One program calls the other's service, and tells us each call with its answer.
fn call(caller: &mut Program, callee: &Program) -> Outcome {
    caller.child.tell(&callee.service)?;
    loop {
        let told: Value = serde_json::from_str(&caller.child.line(PATIENCE)?)?;
        let Some(call) = told["call"].as_str() else { return Ok(()) };
        show(caller.name, callee.name, call, &told["answer"].to_string());
    }
}

fn show(caller: &str, callee: &str, call: &str, answer: &str) {
    println!("{caller:>6} -> {callee:<6}  {call}\n{:18}{answer}", "");
}
