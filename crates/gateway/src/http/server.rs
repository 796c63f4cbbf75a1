//! The HTTP ports: bounded connections, bounded headers, one router each (RFC 9112).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::tasks::Tasks;

/// Serves `router` on `listener` until the tasks are told to stop.
pub async fn serve(listener: TcpListener, router: Router, tasks: Tasks) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
        // Without a permit the connection is closed at once: answering it would need one.
        let Ok(permit) = permits.clone().try_acquire_owned() else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        tasks.spawn("http", async move {
            let _permit = permit;
            tokio::select! {
                () = serve_connection(stream, peer, router) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, router: Router) {
    let _ = stream.set_nodelay(true);
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

/// Connections of one port that speak HTTP at a time; WebSockets after their upgrade are calls and do not count.
const CONNECTIONS_MAX: usize = 1_024;

/// How long a client may take to send its header.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest header.
const HEADER_BYTES_MAX: usize = 16 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
