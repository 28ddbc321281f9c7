//! `polyfn token`, as it is typed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Stdio;

use polyfn_server::auth::{Permission, Scope, UserInfo};
use polyfn_server::{Config, Running, Server, clock};
use tokio::process::Command;

const SECRET: [(&str, &str); 1] = [("HYPHA_JWT_SECRET", "a key")];

struct Ran {
    code: i32,
    out: String,
    errors: String,
}

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polyfn"));
    command.arg("token").args(arguments).env_clear().envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Ran { code: output.status.code().unwrap(), out, errors }
}

async fn start() -> Running {
    let config = Config { port: 0, jwt_secret: Some("a key".into()), ..Config::default() };
    Server::start(config).await.unwrap()
}

#[tokio::test]
async fn a_token_is_made_with_the_secret_and_good_at_the_server() {
    let running = start().await;
    let line = "create --workspace lab-one --permission read --expires-in 5m";
    let made = run(&line.split(' ').collect::<Vec<_>>(), &SECRET).await;
    assert_eq!((made.code, made.errors.as_str()), (0, ""));
    let user = running.state().tokens.verify(made.out.trim(), clock::now()).unwrap();
    assert_eq!(user.permission("lab-one"), Permission::Read);
    assert_eq!((user.roles.as_slice(), user.parent), (&["user".to_owned()][..], None));
    let left = user.expires_at.unwrap() - clock::now() as f64;
    assert!((290.0..=300.0).contains(&left), "{left}");
}

#[tokio::test]
async fn a_token_is_shown_and_checked() {
    let narrow = ["create", "--workspace=lab-one", "--services=shop,report-*", "--max-uses=3"];
    let made = run(&narrow, &SECRET).await;
    let token = made.out.trim();
    let shown = run(&["show", token], &SECRET).await;
    for line in
        ["rights    lab-one: read_write\n", "services  shop, report-*\n", "uses      3\n", "valid     yes:"]
    {
        assert!(shown.out.contains(line), "{}", shown.out);
    }
    assert_eq!(shown.code, 0);
    let other = run(&["show", token, "--jwt-secret", "another"], &[]).await;
    assert_eq!(other.code, 1);
    assert!(other.out.contains("valid     no: Signature verification failed."), "{}", other.out);
    let unchecked = run(&["show", token], &[]).await;
    assert!(unchecked.out.contains("valid     not checked"), "{}", unchecked.out);
    let rotated = [("POLYFN_JWT_SECRET", "new"), ("POLYFN_JWT_SECRET_PREVIOUS", "b a")];
    assert_eq!(run(&["show", token], &rotated).await.code, 1);
    let nothing = run(&["show", "a.b"], &SECRET).await;
    assert_eq!((nothing.code, nothing.out.as_str()), (1, ""));
}

#[tokio::test]
async fn a_running_server_makes_and_revokes() {
    let running = start().await;
    let scope = Scope::parse("ws:lab-one#a wid:lab-one");
    let boss = UserInfo { id: "boss".into(), scope, ..UserInfo::default() };
    let boss = running.state().tokens.issue(&boss, 60, clock::now()).unwrap();
    let through = ["--server-url", running.url()];
    let variables = [("POLYFN_TOKEN", boss.as_str())];
    let made = run(&[&["create", "--methods", "get_*"], &through[..]].concat(), &variables).await;
    assert_eq!((made.code, made.errors.as_str()), (0, ""));
    let token = made.out.trim();
    let user = running.state().tokens.verify(token, clock::now()).unwrap();
    assert_eq!(user.parent.as_deref(), Some("boss"));
    assert!(user.scope.narrow.unwrap().admits_method("get_it"));
    let shown = run(&[&["show", token], &through[..]].concat(), &variables).await;
    assert!(shown.code == 0 && shown.out.contains("valid     yes: the server"), "{}", shown.out);
    let revoked = run(&[&["revoke", token], &through[..]].concat(), &variables).await;
    assert_eq!((revoked.code, revoked.out.as_str(), revoked.errors.as_str()), (0, "revoked\n", ""));
    let shown = run(&[&["show", token], &through[..]].concat(), &variables).await;
    assert!(shown.out.contains("Token has been revoked"), "{}", shown.out);
    assert_eq!(shown.code, 1);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    for (line, code, text) in [
        ("create --workspace lab-one", 1, "POLYFN_JWT_SECRET"),
        ("create --jwt-secret x", 1, "--workspace"),
        ("create --jwt-secret x --workspace *", 1, "the name of one workspace"),
        ("create --jwt-secret x --workspace a-b --expires-in 1w", 2, "expected a time"),
        ("create --jwt-secret x --workspace a-b --permission all", 2, "read, read_write or admin"),
        ("create --jwt-secret x --workspace a-b --max-uses 0", 2, "max-uses"),
        ("revoke x", 2, "--server-url"),
    ] {
        let ran = run(&line.split(' ').collect::<Vec<_>>(), &[]).await;
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{line}");
        assert!(ran.errors.contains(text), "{line}: {}", ran.errors);
    }
    let help = run(&["--help"], &[]).await;
    assert!(help.code == 0 && help.out.contains("polyfn token create --workspace my-lab"), "{}", help.out);
}
