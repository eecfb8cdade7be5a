//! A web client that authenticates itself by `Negotiate`: ureq, and `baton::http`.
//!
//! `cargo run --example negotiate_client -- http://host:8080/` after `kinit`.

use baton::http::{Client, Outcome, offers_negotiate};
use baton::{Credential, Environment, Name};
use ureq::Agent;
use ureq::http::{HeaderValue, Response, Uri, header};

/// Gets what is at a URL, with the tickets of the user's cache.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("a URL")?;
    let env = Environment::from_env()?;
    let text = fetch(&env, &Credential::initiator(&env, None)?, &url)?;
    print!("{text}");
    Ok(())
}

/// What is at `url`, for whom `cred` speaks for.
pub fn fetch(
    env: &Environment,
    cred: &Credential,
    url: &str,
) -> Result<String, Box<dyn std::error::Error>> {
    // A 401 is an answer here, and a handshake's legs go over one connection.
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut response = agent.get(url).call()?;
    if response.status() == 401 && offers_negotiate(challenges(&response)) {
        let host = url
            .parse::<Uri>()?
            .host()
            .ok_or("a URL with a host")?
            .to_owned();
        let target = Name::hostbased_service(&format!("HTTP@{host}"));
        let mut request = Client::new(env, cred, &target).start()?;
        loop {
            // A connection is free for the next request once its response has been read.
            response.body_mut().read_to_string()?;
            let call = agent
                .get(url)
                .header(header::AUTHORIZATION, request.authorization());
            response = call.call()?;
            match request.response(response.status().as_u16(), challenges(&response))? {
                Outcome::Again(next) => request = next,
                Outcome::Done { .. } => break,
                Outcome::Unproven => return Err("the server has not proven itself".into()),
                Outcome::Refused => break,
            }
        }
    }
    match response.status().as_u16() {
        200 => Ok(response.body_mut().read_to_string()?),
        status => Err(format!("the server answers {status}").into()),
    }
}

fn challenges<B>(response: &Response<B>) -> impl Iterator<Item = &[u8]> {
    let values = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
    values.map(HeaderValue::as_bytes)
}
