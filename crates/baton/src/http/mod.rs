//! HTTP's `Negotiate` (RFC 4559), both sides: values of header fields in and out, whatever library carries them.
//!
//! A server has a [`Connection`] for each of its clients' connections. What the client's `Authorization` says goes to
//! [`Connection::authenticate`], whose [`Answer`] says which status and which `WWW-Authenticate` the response has. A handshake of several legs
//! is a matter of one connection; once it is done, each request is authenticated anew, unless
//! [`Server::per_connection`] says that all later requests of the connection are the same client's. That is what Windows does; do not use it
//! behind a proxy that puts requests of several clients on one connection.
//!
//! A client [begins](Client::start) with its first token, if it knows that the server wants one, or after a 401 with a `Negotiate` in it
//! ([`offers_negotiate`]). What came back goes to [`Request::response`].
//!
//! For proxies the fields are `Proxy-Authenticate` and `Proxy-Authorization`, and the status is 407.
//!
//! Without TLS, nobody protects what follows: `Negotiate` authenticates a request and not its contents. With TLS, bind the context
//! to the connection ([`crate::tls::server_end_point`]), so that a token cannot be passed on to another server.
//!
//! ```
//! use baton::http::{Answer, Client, Outcome, Server};
//! use baton::Name;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use baton::realm::DevelopmentRealm;
//! # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
//! # let env = realm.environment()?;
//! # let (alice, service) = (realm.credential(&env, "alice")?, realm.acceptor(&env)?);
//! let target = Name::hostbased_service("HTTP@localhost");
//! let request = Client::new(&env, &alice, &target).start()?;
//! // `Authorization: ` and `request.authorization()` go to the server, and there:
//! let mut connection = Server::new(&env, &service).connection();
//! let Answer::Accepted { context, www_authenticate } =
//!     connection.authenticate(Some(request.authorization().as_bytes()))
//! else { panic!("a good ticket") };
//! assert_eq!(context.facts().initiator.to_string(), "alice@EXAMPLE.TEST");
//! // the response, with that `WWW-Authenticate`, goes back:
//! let answer = www_authenticate.unwrap();
//! let outcome = request.response(200, [answer.as_bytes()])?;
//! assert!(matches!(outcome, Outcome::Done { .. }), "the server has proven itself");
//! # Ok(())
//! # }
//! ```
//!
//! `examples/negotiate_server.rs` does it with axum, `examples/negotiate_client.rs` with ureq.

mod base64;
mod client;
mod header;
mod server;

pub use client::{Client, ClientError, Outcome, Request};
pub use header::{
    Challenge, HeaderError, MAX_HEADER, authorization, negotiate_challenge, offers_negotiate,
};
pub use server::{Answer, Connection, Refusal, Server};
