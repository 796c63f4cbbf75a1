//! The HTTP ports: bounded connections, bounded headers, one router each (RFC 9112).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::connections::Connections;
use super::tls_door::TlsDoor;
use crate::net::ServerStream;
use crate::tasks::Tasks;

/// Serves `router` on `listener` until the tasks are told to stop; with TLS where `door` says so.
pub async fn serve(listener: TcpListener, router: Router, door: Option<TlsDoor>, tasks: Tasks) {
    let connections = Connections::default();
    let stop = tasks.stop().clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // What is not let in is closed at once: answering it would need a connection.
        let Some(admitted) = connections.admit(peer.ip()) else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        let acceptor = door.as_ref().and_then(TlsDoor::acceptor);
        tasks.spawn("http", async move {
            let _admitted = admitted;
            let served = async {
                match open(stream, acceptor).await {
                    Ok(stream) => serve_connection(stream, peer, router).await,
                    Err(error) => debug!(%peer, %error, "no tls"),
                }
            };
            tokio::select! {
                () = served => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn open(stream: TcpStream, acceptor: Option<TlsAcceptor>) -> io::Result<ServerStream> {
    let _ = stream.set_nodelay(true);
    // The kernel ends a connection whose other end takes nothing, or is gone.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_TIMEOUT));
    let Some(acceptor) = acceptor else { return Ok(ServerStream::plain(stream)) };
    let handshake = ServerStream::tls(stream, &acceptor);
    tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

async fn serve_connection(stream: ServerStream, peer: SocketAddr, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(answer(router, request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        debug!(%peer, %error, "http connection ended");
    }
}

async fn answer(mut router: Router, mut request: Request<Incoming>, peer: SocketAddr) -> Response {
    use tower_service::Service;
    request.extensions_mut().insert(ConnectInfo(peer));
    let Ok(response) = router.call(request).await;
    response
}

/// A peer that left while it was being accepted is nothing; a lack of descriptors lasts a moment.
async fn pause_after(error: &io::Error) {
    let gone =
        [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused];
    if !gone.contains(&error.kind()) {
        warn!(%error, "no connection can be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// How long a client may take to send its header.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may leave unread, or unacknowledged, what is sent to it (RFC 5482).
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest header.
const HEADER_BYTES_MAX: usize = 16 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
