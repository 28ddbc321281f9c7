use super::*;
use crate::auth::Permission;

const NOW: u64 = 1_795_220_574;

/// A token of the reference server, whose key is not known here: good for all checks but the signature.
const FOREIGN: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2FtdW4uYWkvIiwic3ViIjoiYW5vbnltb3V6LWhvbmV5c3Vja2xl",
    "LWZsYW1lLTA5NjM1MzA1In0.dUE_xK9Ckyj0_k3VWCTq81_Cvf88yuipamQmuWcD0Xc"
);

fn tokens() -> Tokens {
    Tokens::new(&Config::default(), b"key")
}

fn user() -> UserInfo {
    UserInfo {
        id: "maker".to_owned(),
        roles: vec!["anonymous".to_owned()],
        is_anonymous: true,
        scope: Scope::parse("ws:lab-one#rw wid:lab-one"),
        parent: Some("somebody".to_owned()),
        ..UserInfo::default()
    }
}

/// Signs any claims, as somebody who knows the key could.
fn signed(header: &Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(b"key")).unwrap()
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn with(name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims_of(&tokens().issue(&user(), 60, NOW).unwrap());
    claims[name] = value.into();
    signed(&Header::new(Algorithm::HS256), &claims)
}

fn refused(token: &str) -> String {
    tokens().verify(token, NOW).unwrap_err().to_string()
}

#[test]
fn claims_are_those_of_the_reference() {
    let claims = claims_of(&tokens().issue(&user(), 60, NOW).unwrap()).to_string();
    let expected = concat!(
        r#"{"iss":"https://amun.ai/","sub":"maker","aud":"https://amun-ai.eu.auth0.com/api/v2/","iat":1795220574,"#,
        r#""exp":1795220634,"scope":"ws:lab-one#rw wid:lab-one","gty":"client-credentials","#,
        r#""https://amun.ai/roles":["anonymous"],"https://amun.ai/email":null,"https://amun.ai/parent":"somebody"}"#
    );
    assert_eq!(claims, expected);
}

#[test]
fn a_token_brings_its_user_back() {
    let token = tokens().issue(&user(), 60, NOW).unwrap();
    let read = serde_json::to_string(&tokens().verify(&token, NOW + 59).unwrap()).unwrap();
    let expected = concat!(
        r#"{"id":"maker","roles":["anonymous"],"is_anonymous":true,"scope":{"current_workspace":"lab-one","#,
        r#""workspaces":{"lab-one":"rw","ws-user-maker":"a"},"client_id":null,"extra_scopes":[]},"email":null,"#,
        r#""parent":"somebody","expires_at":1795220634.0,"current_workspace":"lab-one"}"#
    );
    assert_eq!(read, expected);
}

#[test]
fn time_is_kept() {
    let token = tokens().issue(&user(), 60, NOW).unwrap();
    assert_eq!(tokens().verify(&token, NOW + 60), Err(TokenError::Expired));
    assert_eq!(TokenError::Expired.to_string(), "The token has expired. Please fetch a new one");
    assert_eq!(refused(&with("nbf", NOW + 1)), "The token is not yet valid (nbf)");
    assert!(refused(&with("exp", "soon")).contains("exp"));
}

#[test]
fn what_is_no_token_is_refused() {
    for bad in ["", "x", "abc.def.ghi", "..", "e30.e30.e30", "null.null.null"] {
        assert_eq!(refused(bad), "Error decoding token headers.", "{bad}");
    }
}

#[test]
fn another_key_or_changed_claims_are_refused() {
    assert_eq!(refused(FOREIGN), "Signature verification failed.");
    let other = Tokens::new(&Config::default(), b"other").issue(&user(), 60, NOW).unwrap();
    assert_eq!(refused(&other), "Signature verification failed.");
    let token = tokens().issue(&user(), 60, NOW).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let changed = URL_SAFE_NO_PAD.encode(claims_of(&token).to_string().replace("#rw", "#a"));
    assert_eq!(refused(&format!("{}.{changed}.{}", parts[0], parts[2])), "Signature verification failed.");
    assert_eq!(refused(&format!("{}.{}", parts[0], parts[1])), "Signature verification failed.");
}

#[test]
fn no_algorithm_but_ours_is_accepted() {
    let token = tokens().issue(&user(), 60, NOW).unwrap();
    let payload = token.split('.').nth(1).unwrap();
    for (header, name) in [
        (r#"{"alg":"none"}"#, "none"),
        (r#"{"alg":"None","typ":"JWT"}"#, "None"),
        (r#"{"alg":"RS256"}"#, "RS256"),
    ] {
        let header = URL_SAFE_NO_PAD.encode(header);
        for signature in ["", token.split('.').nth(2).unwrap()] {
            let text = refused(&format!("{header}.{payload}.{signature}"));
            assert_eq!(text, format!("Invalid algorithm: {name}"));
        }
    }
    let strong = signed(&Header::new(Algorithm::HS512), &claims_of(&token));
    assert_eq!(refused(&strong), "Invalid algorithm: HS512");
}

#[test]
fn tokens_for_others_are_refused() {
    assert_eq!(refused(&with("aud", "elsewhere")), "Invalid audience");
    assert_eq!(refused(&with("iss", "elsewhere")), "Invalid issuer");
    assert!(refused(&with("sub", "")).contains("sub"));
    assert!(refused(&with("sub", Value::Null)).contains("sub"));
}

#[test]
fn admins_may_everything() {
    let token = with("https://amun.ai/roles", vec!["admin"]);
    assert_eq!(tokens().verify(&token, NOW).unwrap().permission("any-thing"), Permission::Admin);
}

#[test]
fn a_reconnection_token_has_the_words_of_the_reference() {
    let user = tokens().verify(&tokens().issue(&user(), 60, NOW).unwrap(), NOW).unwrap();
    let token = tokens().reconnection(&user, "lab-one", "client-b", NOW).unwrap();
    let claims = claims_of(&token);
    assert_eq!(claims["scope"], "ws:lab-one#rw ws:ws-user-maker#a cid:client-b wid:lab-one");
    assert_eq!(claims["exp"], NOW + 172_800);
    assert_eq!(claims["sub"], "maker");
}

#[test]
fn earlier_keys_check_and_the_newest_one_signs() {
    let earlier = vec![Secret::from("one"), Secret::from("two")];
    let config = Config { earlier_jwt_secrets: earlier, ..Config::default() };
    let rotated = Tokens::new(&config, b"key");
    for key in ["key", "one", "two"] {
        let token = Tokens::new(&Config::default(), key.as_bytes()).issue(&user(), 60, NOW).unwrap();
        assert!(rotated.verify(&token, NOW).is_ok(), "{key}");
        assert_eq!(rotated.verify(&token, NOW + 60), Err(TokenError::Expired), "{key}");
    }
    let other = Tokens::new(&Config::default(), b"three").issue(&user(), 60, NOW).unwrap();
    assert_eq!(rotated.verify(&other, NOW), Err(TokenError::Signature));
    assert!(tokens().verify(&rotated.issue(&user(), 60, NOW).unwrap(), NOW).is_ok());
}

/// Another issuer, which knows its tokens only after it has fetched its keys.
#[derive(Debug, Default)]
struct Provider(std::sync::atomic::AtomicBool);

impl Foreign for Provider {
    fn prepare<'a>(&'a self, _: &'a str) -> futures_util::future::BoxFuture<'a, ()> {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }

    fn claims(&self, _: &str) -> Result<Claims, TokenError> {
        if !self.0.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(TokenError::Signature);
        }
        let claims =
            serde_json::json!({"sub": "somebody", "exp": NOW + 60, "https://amun.ai/roles": ["user"]});
        Ok(claims.as_object().cloned().unwrap_or_default())
    }
}

#[tokio::test]
async fn another_issuer_is_asked_for_its_kind_of_tokens_only() {
    let tokens = tokens();
    tokens.set_foreign(Arc::new(Provider::default()));
    let own = tokens.issue(&user(), 60, NOW).unwrap();
    tokens.prepare(&own).await;
    let foreign = format!("{}.e30.x", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"a"}"#));
    assert_eq!(tokens.verify(&foreign, NOW), Err(TokenError::Signature));
    tokens.prepare(&foreign).await;
    assert_eq!(tokens.verify(&foreign, NOW).unwrap().id, "somebody");
    assert_eq!(tokens.verify(&foreign, NOW + 60), Err(TokenError::Expired));
    assert_eq!(tokens.verify(&own, NOW).unwrap().id, "maker");
    tokens.revoked().add(TokenId::of(&foreign), NOW + 60);
    assert_eq!(tokens.verify(&foreign, NOW), Err(TokenError::Revoked));
}

#[test]
fn only_the_whole_root_token_is_root() {
    let secret = "xK3vQ9mZpL7wRt5yUiHgFdSaZxCvBnMq";
    let tokens = Tokens::new(&Config { root_token: Some(secret.into()), ..Config::default() }, b"key");
    assert_eq!(tokens.bearer(secret, NOW).unwrap().id, "root");
    assert!(tokens.bearer(&secret[1..], NOW).is_err());
    assert!(!Tokens::new(&Config::default(), b"key").is_root(""));
}

#[test]
fn keys_are_not_shown() {
    assert!(!format!("{:?}", tokens()).contains("key"));
    assert_ne!(random_secret().unwrap().expose(), random_secret().unwrap().expose());
}
