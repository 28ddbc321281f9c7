//! The binary: its one line on stdout, its signals, its exit codes.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    port: u16,
}

fn polyfn(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polyfn"));
    command.args(arguments).env_clear().kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn serve(arguments: &[&str]) -> Server {
    let own = ["serve", "--port", "0", "--database-uri", "sqlite::memory:"];
    let mut child = polyfn(&[&own, arguments].concat()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).await.unwrap();
    let port = line.trim_end().strip_prefix("polyfn 0.1.0 ready at http://127.0.0.1:").expect(&line);
    Server { child, out, port: port.parse().unwrap() }
}

/// By the system's own command, since sending signals from Rust takes unsafe code.
async fn signal(server: &Server, name: &str) {
    let id = server.child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
}

#[tokio::test]
async fn it_says_one_line_and_stops_on_signals() {
    for name in ["-TERM", "-INT"] {
        let mut server = serve(&[]).await;
        signal(&server, name).await;
        assert_eq!(server.child.wait().await.unwrap().code(), Some(0), "{name}");
        let mut rest = String::new();
        server.out.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
    }
}

#[tokio::test]
async fn bad_settings_end_with_2_and_a_message() {
    for (arguments, text) in [
        (&["serve", "--root-token", "short"][..], "Root token must be at least 32 characters long"),
        (&["serve", "--nonsense"][..], "--nonsense"),
        (&["serve", "--public-base-url", "ftp://x"][..], "must begin with `http://`"),
    ] {
        let output = polyfn(arguments).output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(text) && output.stdout.is_empty(), "{errors}");
    }
}

#[tokio::test]
async fn a_taken_port_ends_with_1() {
    let server = serve(&[]).await;
    let output = polyfn(&["serve", "--port", &server.port.to_string(), "--database-uri", "sqlite::memory:"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot listen at 127.0.0.1"));
}

#[tokio::test]
async fn each_flag_without_effect_is_named_once_and_secrets_never() {
    let mut server =
        serve(&["--enable-s3", "--log-format", "json", "--loglevel", "debug", "--jwt-secret", "hush-hush"])
            .await;
    let header = "authorization: Bearer hush.hush.hush";
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let request = format!(
        "GET /assets/config.json?token=hush HTTP/1.1\r\nhost: x\r\n{header}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    signal(&server, "-TERM").await;
    let mut errors = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
    let lines: Vec<serde_json::Value> =
        errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = lines.iter().filter(|line| line["message"] == "--enable-s3 is accepted but does nothing yet");
    assert_eq!(named.count(), 1, "{errors}");
    assert!(!errors.contains("hush"), "{errors}");
}

#[tokio::test]
async fn help_has_examples() {
    let output = polyfn(&["serve", "--help"]).output().await.unwrap();
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && help.contains("Examples:") && help.contains("POLYFN_<FLAG>"));
}
