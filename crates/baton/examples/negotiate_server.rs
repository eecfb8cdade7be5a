//! A web server that knows its clients by `Negotiate`: axum, and `baton::http`.
//!
//! `cargo run --example negotiate_server -- 127.0.0.1:8080` with `KRB5_KTNAME` leading to a keytab with the key of `HTTP/host`;
//! `curl --negotiate -u : http://host:8080/` is a client of it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use baton::http::{Answer, Connection, Server};
use baton::{Context, Credential, Environment};
use tokio::net::{TcpListener, TcpStream};

/// A handshake of several legs is a matter of one connection, so axum keeps one of these for each.
#[derive(Clone, Debug)]
struct PerConnection(Arc<Mutex<Connection>>);

/// Listens, and takes what the server needs from where MIT's manual says it is.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or("127.0.0.1:8080".to_owned());
    let env = Environment::from_env()?;
    let server = Server::new(&env, &Credential::acceptor(&env, None)?);
    serve(TcpListener::bind(address).await?, server).await?;
    Ok(())
}

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, server: Server) -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(hello))
        .layer(from_fn(negotiate));
    let app = app.into_make_service_with_connect_info::<PerConnection>();
    axum::serve(Knowing { listener, server }, app).await
}

/// A listener that gives each connection its own state.
struct Knowing {
    listener: TcpListener,
    server: Server,
}

impl Listener for Knowing {
    type Io = TcpStream;
    type Addr = PerConnection;

    async fn accept(&mut self) -> (TcpStream, PerConnection) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        let connection = self.server.connection();
        (stream, PerConnection(Arc::new(Mutex::new(connection))))
    }

    fn local_addr(&self) -> std::io::Result<PerConnection> {
        Ok(PerConnection(Arc::new(Mutex::new(
            self.server.connection(),
        ))))
    }
}

impl Connected<IncomingStream<'_, Knowing>> for PerConnection {
    fn connect_info(stream: IncomingStream<'_, Knowing>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Who is known to be a client may look at this.
async fn hello(request: Request) -> String {
    let context = request.extensions().get::<Arc<Context>>();
    let name = context.map(|context| context.facts().initiator.to_string());
    format!("hello {}\n", name.unwrap_or_default())
}

/// Lets requests of authenticated clients through, and gives the others their challenge.
async fn negotiate(
    ConnectInfo(connection): ConnectInfo<PerConnection>,
    mut request: Request,
    next: Next,
) -> Response {
    let value = request.headers().get(header::AUTHORIZATION);
    let answer = {
        let mut connection = connection.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.authenticate(value.map(HeaderValue::as_bytes))
    };
    match answer {
        Answer::Accepted {
            context,
            www_authenticate,
        } => {
            request.extensions_mut().insert(context);
            let mut response = next.run(request).await;
            if let Some(value) = www_authenticate {
                response.headers_mut().extend(field(value));
            }
            response
        }
        Answer::Challenge { www_authenticate } => {
            (StatusCode::UNAUTHORIZED, field(www_authenticate)).into_response()
        }
        Answer::Refused {
            refusal,
            www_authenticate,
        } => {
            eprintln!("a client was refused: {refusal}");
            (StatusCode::UNAUTHORIZED, field(www_authenticate)).into_response()
        }
    }
}

fn field(value: String) -> HeaderMap {
    let value = HeaderValue::try_from(value).expect("Base64 is ASCII");
    HeaderMap::from_iter([(header::WWW_AUTHENTICATE, value)])
}
