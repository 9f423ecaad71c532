//! A provider in this process that says what a test tells it to.

use super::id_token::{IdToken, Signer};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What came to the token endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The `Authorization` header, or nothing.
    pub(crate) authorization: String,
    pub(crate) fields: HashMap<String, String>,
}

/// A provider; gone when dropped.
pub(crate) struct Forger {
    pub(crate) issuer: String,
    script: Arc<Mutex<Script>>,
    _stop: DropGuard,
}

/// What it says, and what it was asked.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its discovery document.
    pub(crate) discovery: Value,
    /// Its key set.
    pub(crate) keys: Value,
    /// Who signs from now on.
    pub(crate) signer: Signer,
    /// What is answered at the token endpoint instead.
    pub(crate) instead: Option<(StatusCode, String)>,
    /// What the userinfo endpoint says, if there is one.
    pub(crate) userinfo: Value,
    /// Codes that were not redeemed yet.
    codes: HashMap<String, IdToken>,
    made: usize,
    received: Vec<Received>,
    keys_read: usize,
}

type Shared = State<Arc<Mutex<Script>>>;

impl Forger {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let discovery = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        let script = Arc::new(Mutex::new(Script {
            discovery,
            keys: json!({ "keys": [Signer::First.jwk()] }),
            signer: Signer::First,
            instead: None,
            userinfo: Value::Null,
            codes: HashMap::new(),
            made: 0,
            received: Vec::new(),
            keys_read: 0,
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery_document))
            .route("/jwks", get(key_set))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(script.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.expect("it serves"),
                () = stopped => (),
            }
        });
        Self { issuer, script, _stop: stop.drop_guard() }
    }

    /// What it says from now on.
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// The right ID token for a sign-in that was begun with this nonce.
    pub(crate) fn right(&self, nonce: &str) -> IdToken {
        IdToken::of(&self.issuer, nonce, self.script().signer)
    }

    /// A code for this token.
    pub(crate) fn code(&self, token: IdToken) -> String {
        let mut script = self.script();
        script.made += 1;
        let code = format!("code-{}", script.made);
        script.codes.insert(code.clone(), token);
        code
    }

    /// All that came to the token endpoint.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.script().received.clone()
    }

    /// How often its keys were read.
    pub(crate) fn keys_read(&self) -> usize {
        self.script().keys_read
    }

    /// Signs by another key from now on, and shows only that.
    pub(crate) fn rotate(&self) {
        let mut script = self.script();
        script.signer = Signer::Second;
        script.keys = json!({ "keys": [Signer::Second.jwk()] });
    }
}

type Said = (StatusCode, [(&'static str, &'static str); 1], String);

fn said(status: StatusCode, body: impl ToString) -> Said {
    (status, [("content-type", "application/json")], body.to_string())
}

async fn discovery_document(State(script): Shared) -> Said {
    said(StatusCode::OK, &script.lock().unwrap().discovery)
}

async fn key_set(State(script): Shared) -> Said {
    let mut script = script.lock().unwrap();
    script.keys_read += 1;
    said(StatusCode::OK, &script.keys)
}

async fn userinfo(State(script): Shared) -> Said {
    said(StatusCode::OK, &script.lock().unwrap().userinfo)
}

async fn token(State(script): Shared, headers: HeaderMap, body: String) -> Said {
    let authorization = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let fields: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut script = script.lock().unwrap();
    let token = fields.get("code").and_then(|code| script.codes.remove(code));
    script.received.push(Received { authorization: authorization.to_owned(), fields });
    if let Some((status, body)) = &script.instead {
        return said(*status, body);
    }
    let Some(token) = token else {
        return said(StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }));
    };
    let mut answer =
        json!({ "access_token": token.access_token, "token_type": "Bearer", "expires_in": 3600 });
    if token.sent {
        answer["id_token"] = token.compact().into();
    }
    said(StatusCode::OK, answer)
}
