use super::*;
use crate::auth::scope::Scope;
use crate::config::Config;

const NOW: u64 = 1_795_220_574;
const ROOT: &str = "xK3vQ9mZpL7wRt5yUiHgFdSaZxCvBnMq";

fn tokens() -> Tokens {
    Tokens::new(&Config { root_token: Some(ROOT.into()), ..Config::default() }, b"key")
}

fn token(scope: &str) -> String {
    let user = UserInfo {
        id: "maker".to_owned(),
        roles: vec!["user".to_owned()],
        scope: Scope::parse(scope),
        ..UserInfo::default()
    };
    tokens().issue(&user, 60, NOW).unwrap()
}

fn connect(json: &serde_json::Value) -> Result<Identity, HandshakeError> {
    AuthMessage::parse(&json.to_string())?.authenticate(&tokens(), &Limits::default(), NOW)
}

fn refused(json: &serde_json::Value) -> (u16, String) {
    let error = connect(json).unwrap_err();
    (error.code, error.message)
}

fn json(client: &str, workspace: Option<&str>, token: &str) -> serde_json::Value {
    serde_json::json!({"client_id": client, "workspace": workspace, "token": token})
}

#[test]
fn a_stranger_gets_a_workspace_of_its_own() {
    let identity = connect(&serde_json::json!({"client_id": "ü x", "unknown": 1})).unwrap();
    assert!(identity.user.is_anonymous && identity.user.id.starts_with("anonymouz-"));
    assert_eq!(identity.workspace, format!("ws-user-{}", identity.user.id));
    assert_eq!(identity.permission, Permission::Admin);
    assert_eq!(identity.user.scope.client_id.as_deref(), Some("ü x"));
}

#[test]
fn what_is_no_message_is_refused() {
    for text in ["", "hello", "[]", "null", "1", r#"{"client_id":1}"#, r#"{"client_id":"a","token":[]}"#] {
        let error = AuthMessage::parse(text).unwrap_err();
        let expected = (1003, "Failed to decode authentication information");
        assert_eq!((error.code, error.message.as_str()), expected, "{text}");
    }
}

#[test]
fn bad_tokens_are_refused_with_1008() {
    let text = "Authentication error: Error decoding token headers.";
    assert_eq!(refused(&json("a", None, "abc.def.ghi")), (1008, text.to_owned()));
    let message = AuthMessage::parse(&json("a", None, &token("ws:lab-one#a")).to_string()).unwrap();
    let late = message.authenticate(&tokens(), &Limits::default(), NOW + 61).unwrap_err();
    assert_eq!(late.message, "Authentication error: The token has expired. Please fetch a new one");
}

#[test]
fn no_name_or_a_bad_one_is_refused() {
    let text = "Failed to establish connection: Failed to authenticate user to workspace: lab-one";
    let nameless = serde_json::json!({"token": token("ws:lab-one#a wid:lab-one")});
    assert_eq!(refused(&nameless), (1001, text.to_owned()));
    let text = "Failed to establish connection: Invalid client id: b/1";
    assert_eq!(refused(&serde_json::json!({"client_id": "b/1"})), (1001, text.to_owned()));
    for bad in ["*", "a\nb", &"x".repeat(256)] {
        assert_eq!(refused(&serde_json::json!({"client_id": bad})).0, 1001, "{bad}");
    }
}

#[test]
fn an_endless_name_makes_no_endless_error() {
    let error = connect(&serde_json::json!({"client_id": "ü".repeat(6_000_000)})).unwrap_err();
    assert!(error.message.len() < 500);
    assert!(error.close_reason().len() <= 123);
}

#[test]
fn strangers_may_not_enter_other_workspaces() {
    for workspace in ["public", "lab-one", "*"] {
        let text = format!("Failed to establish connection: Permission denied for workspace: {workspace}");
        assert_eq!(refused(&serde_json::json!({"client_id": "a", "workspace": workspace})), (1001, text));
    }
}

#[test]
fn a_token_of_another_workspace_is_refused() {
    let text = "Failed to establish connection: Failed to authenticate user: Current workspace encoded in the token \
                (lab-one) does not match the specified workspace (other-ws)";
    let token = token("ws:lab-one#rw wid:lab-one");
    assert_eq!(refused(&json("a", Some("other-ws"), &token)), (1001, text.to_owned()));
    assert_eq!(connect(&json("a", None, &token)).unwrap().permission, Permission::ReadWrite);
}

#[test]
fn a_token_without_workspace_needs_the_right() {
    let token = token("ws:lab-one#r");
    assert_eq!(connect(&json("a", Some("lab-one"), &token)).unwrap().permission, Permission::Read);
    assert_eq!(connect(&json("a", None, &token)).unwrap().workspace, "ws-user-maker");
    assert_eq!(connect(&json("a", Some("public"), &token)).unwrap().workspace, "ws-user-maker");
    assert_eq!(refused(&json("a", Some("other-ws"), &token)).0, 1001);
}

#[test]
fn a_token_bound_to_a_client_is_only_for_it() {
    let token = token("ws:lab-one#rw cid:only-me wid:lab-one");
    let text = "Failed to establish connection: Failed to authenticate user: Client id mismatch: this token is \
                restricted to client with client_id='only-me'";
    assert_eq!(refused(&json("a", None, &token)), (1001, text.to_owned()));
    assert!(connect(&json("only-me", None, &token)).is_ok());
}

#[test]
fn a_specialised_token_does_not_connect() {
    let text = "Failed to establish connection: Failed to authenticate user: Specialized token with scopes [file:x] \
                cannot be used for general workspace access. This token can only be used for its intended purpose.";
    assert_eq!(
        refused(&json("a", None, &token("ws:lab-one#rw wid:lab-one file:x"))),
        (1001, text.to_owned())
    );
}

#[test]
fn a_reconnection_token_is_enough_alone_and_wins() {
    let first = connect(&serde_json::json!({"client_id": "a"})).unwrap();
    let back = tokens().reconnection(&first.user, &first.workspace, "a", NOW).unwrap();
    let again = serde_json::json!({"client_id": "a", "token": "rubbish", "reconnection_token": back});
    let again = connect(&again).unwrap();
    assert!(again.reconnecting && !first.reconnecting);
    assert_eq!((again.user.id, again.workspace), (first.user.id, first.workspace));
}

#[test]
fn a_reconnection_token_of_another_client_is_refused() {
    let first = connect(&serde_json::json!({"client_id": "a"})).unwrap();
    let back = tokens().reconnection(&first.user, &first.workspace, "a", NOW).unwrap();
    let text =
        "Failed to establish connection: Failed to authenticate user: Client id mismatch, disconnecting";
    let other = serde_json::json!({"client_id": "b", "reconnection_token": back});
    assert_eq!(refused(&other), (1001, text.to_owned()));
    let unbound =
        serde_json::json!({"client_id": "b", "reconnection_token": token("ws:lab-one#a wid:lab-one")});
    assert_eq!(refused(&unbound), (1001, text.to_owned()));
}

#[test]
fn root_acts_where_it_asks() {
    assert_eq!(connect(&json("a", None, ROOT)).unwrap().workspace, "ws-user-root");
    let identity = connect(&json("a", Some("lab-one"), ROOT)).unwrap();
    assert_eq!((identity.workspace.as_str(), identity.permission), ("lab-one", Permission::Admin));
    assert_eq!(refused(&json("a", None, &ROOT[1..])).0, 1008);
}
