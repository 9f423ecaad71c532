//! The other side of `access::oauth`: a client that signs a person in (RFC 6749, RFC 7636, RFC 8252, RFC 8414,
//! RFC 9207), for `drawbridge login`.

use super::error::StartError;
use crate::domain::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Longest head of the browser's request, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Where and as what to sign in.
#[derive(Debug, Clone)]
pub struct SignInAsked {
    /// The issuer.
    pub server: String,
    /// Which client this is.
    pub client_id: String,
    /// An authority beside the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// How long to wait for the person.
    pub wait: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct SignInDone {
    /// The access token.
    pub token: Secret,
    /// Seconds.
    pub expires_in: u64,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    expires_in: u64,
}

/// Signs a person in; `show` is told the address to be opened.
///
/// # Errors
/// [`StartError::Usage`]: what the server or the person said.
pub async fn sign_in(asked: SignInAsked, show: impl FnOnce(&str)) -> Result<SignInDone, StartError> {
    let client = client(&asked)?;
    let at = format!("{}/.well-known/oauth-authorization-server", asked.server);
    let metadata: Metadata = fetched(client.get(&at).send().await).await?;
    if metadata.issuer != asked.server {
        return Err(failed(format!("the server at {} says that it is {}", asked.server, metadata.issuer)));
    }
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let unheard = |source| StartError::Listen { address: any, source };
    let listener = TcpListener::bind(any).await.map_err(unheard)?;
    let redirect = format!("http://{}/callback", listener.local_addr().map_err(unheard)?);
    let (verifier, state) = (random()?, random()?);
    let challenge =
        BASE64URL.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &asked.client_id)
        .append_pair("redirect_uri", &redirect)
        .append_pair("state", &state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    show(&format!("{}?{query}", metadata.authorization_endpoint));
    let heard = tokio::time::timeout(asked.wait, answer(&listener, &state, &metadata.issuer)).await;
    let code = heard.map_err(|_| failed("nobody has signed in; run it again"))??;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", &code)
        .append_pair("redirect_uri", &redirect)
        .append_pair("client_id", &asked.client_id)
        .append_pair("code_verifier", &verifier)
        .finish();
    let request = client.post(&metadata.token_endpoint);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let response: TokenResponse = fetched(request.send().await).await?;
    Ok(SignInDone { token: Secret::new(response.access_token), expires_in: response.expires_in })
}

fn failed(what: impl Into<String>) -> StartError {
    StartError::Usage(what.into())
}

fn client(asked: &SignInAsked) -> Result<reqwest::Client, StartError> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30));
    if let Some(path) = &asked.ca_file {
        let pem = std::fs::read(path).map_err(|source| StartError::File { path: path.clone(), source })?;
        let all = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|e| failed(format!("`{}` is no PEM file of certificates: {e}", path.display())))?;
        builder = all.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    builder.build().map_err(|e| failed(format!("no HTTP client: {e}")))
}

async fn fetched<T: serde::de::DeserializeOwned>(
    sent: Result<reqwest::Response, reqwest::Error>,
) -> Result<T, StartError> {
    let unusable = |e: reqwest::Error| failed(format!("the server can't be used: {e}"));
    let response = sent.map_err(unusable)?;
    let (status, body) = (response.status(), response.bytes().await.map_err(unusable)?);
    if !status.is_success() {
        let text = String::from_utf8_lossy(&body);
        return Err(failed(format!(
            "the server answers {status}: {}",
            text.chars().take(400).collect::<String>()
        )));
    }
    serde_json::from_slice(&body).map_err(|e| failed(format!("the server's answer can't be read: {e}")))
}

/// 256 random bits.
fn random() -> Result<String, StartError> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| failed("no random bytes from the system"))?;
    Ok(BASE64URL.encode(bytes))
}

/// The code that the browser brings. Whoever else asks on the port is told that this isn't it.
async fn answer(listener: &TcpListener, state: &str, issuer: &str) -> Result<String, StartError> {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let read = tokio::time::timeout(Duration::from_secs(10), target(&mut stream)).await;
        let Ok(Some(target)) = read else { continue };
        let Some(query) = target.strip_prefix("/callback?") else {
            say(&mut stream, "404 Not Found", "This is not the address.").await;
            continue;
        };
        let all: std::collections::HashMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| all.get(name).map_or("", String::as_str);
        // RFC 9700 §4.7, RFC 9207 §2.4: our own request's answer, and from whom we asked.
        if get("state") != state || get("iss") != issuer {
            say(&mut stream, "400 Bad Request", "This answer belongs to another sign-in.").await;
            continue;
        }
        if all.contains_key("error") {
            say(&mut stream, "200 OK", "You are not signed in. Go back to the terminal.").await;
            return Err(failed(format!("the server says {}: {}", get("error"), get("error_description"))));
        }
        say(&mut stream, "200 OK", "You are signed in. You can close this window.").await;
        return Ok(get("code").to_owned());
    }
}

/// The target of a GET request.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut buffer) = (Vec::new(), [0_u8; 2048]);
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        head.extend_from_slice(buffer.get(..n)?);
        if head.len() > MAX_HEAD {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    head.lines().next()?.strip_prefix("GET ")?.split(' ').next().map(str::to_owned)
}

async fn say(stream: &mut TcpStream, status: &str, text: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}
