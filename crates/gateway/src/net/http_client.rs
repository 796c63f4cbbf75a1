//! The HTTP client: one request over one connection through the guard, bounded in time and size (RFC 9112).
//!
//! It follows no redirect, keeps no connection and tries nothing twice: who asks knows whether that is wise.

use std::io;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::egress::{Destination, Egress, EgressError, Trust};
use super::transport::Transport;
use crate::config::WebUrl;

/// What is asked.
#[derive(Debug)]
pub struct HttpRequest<'a> {
    /// The method.
    pub method: Method,
    /// Where.
    pub url: &'a WebUrl,
    /// Headers; `Host`, `User-Agent`, `Connection` and the body's length are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Under which terms.
#[derive(Debug, Clone, Copy)]
pub struct HttpTerms<'a> {
    /// Who wrote the URL.
    pub trust: &'a Trust,
    /// Until when the whole answer must be there.
    pub deadline: Instant,
    /// The largest body of an answer, in bytes.
    pub body_bytes_max: usize,
}

/// What was answered.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status, whatever it is.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, as it was sent.
    pub body: Bytes,
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// There was no connection.
    #[error(transparent)]
    Unconnected(EgressError),
    /// The connection ended before an answer began.
    #[error("the connection ended without an answer: {0}")]
    Unanswered(hyper::Error),
    /// The deadline came first.
    #[error("no whole answer in time")]
    TooLate,
    /// The body is larger than may be.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// What came is no HTTP, or ended in the middle.
    #[error("the answer is no whole HTTP message: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// Sends `request` and reads the whole answer.
///
/// # Errors
/// [`HttpError`] says at which step it failed; at the deadline it always has.
pub async fn send(
    egress: &Egress,
    request: HttpRequest<'_>,
    terms: HttpTerms<'_>,
) -> Result<HttpAnswer, HttpError> {
    let body = Full::new(request.body.clone());
    send_stream(egress, request, body, terms).await
}

/// The same with a `body` that comes in pieces, in the place of the request's own.
///
/// # Errors
/// As [`send`]; a body that fails breaks the connection.
pub async fn send_stream<B>(
    egress: &Egress,
    request: HttpRequest<'_>,
    body: B,
    terms: HttpTerms<'_>,
) -> Result<HttpAnswer, HttpError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let request = (request.url, whole(&request, body)?);
    ask(egress, request, terms, async |response| read(response, terms.body_bytes_max).await).await
}

/// Sends `request` and reads the answer's head; its body, whatever it is, is left where it is.
///
/// # Errors
/// As [`send`], but that no body can be wrong.
pub async fn send_for_head(
    egress: &Egress,
    request: HttpRequest<'_>,
    terms: HttpTerms<'_>,
) -> Result<(StatusCode, HeaderMap), HttpError> {
    let body = Full::new(request.body.clone());
    let request = (request.url, whole(&request, body)?);
    ask(egress, request, terms, async |response: Response<Incoming>| {
        let (head, _) = response.into_parts();
        Ok((head.status, head.headers))
    })
    .await
}

async fn ask<B, T>(
    egress: &Egress,
    (url, request): (&WebUrl, Request<B>),
    terms: HttpTerms<'_>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, HttpError>,
) -> Result<T, HttpError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let transport = egress.connect(Destination::of(url), terms.trust, terms.deadline).await?;
    match timeout_at(terms.deadline, exchange(transport, request, read)).await {
        Ok(answered) => answered,
        Err(_) => Err(HttpError::TooLate),
    }
}

async fn exchange<B, T>(
    transport: Transport,
    request: Request<B>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, HttpError>,
) -> Result<T, HttpError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_BYTES_MAX)
        .handshake(TokioIo::new(transport))
        .await
        .map_err(HttpError::Unanswered)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(unanswered)?;
        read(response).await
    };
    let carry = async {
        // How the connection ended reaches the answer's own error.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = answer => answer,
        () = carry => Err(HttpError::Broken(Box::new(io::Error::other("the connection is gone")))),
    }
}

fn whole<B>(request: &HttpRequest<'_>, body: B) -> Result<Request<B>, HttpError> {
    let HttpRequest { method, url, headers, .. } = request;
    let path = url.as_uri().path_and_query().map_or("/", |path| path.as_str());
    let mut whole = Request::new(body);
    *whole.method_mut() = method.clone();
    *whole.uri_mut() = path.parse().map_err(|error| HttpError::Broken(Box::new(error)))?;
    *whole.headers_mut() = headers.clone();
    let host = HeaderValue::from_str(url.authority()).map_err(|error| HttpError::Broken(Box::new(error)))?;
    whole.headers_mut().insert(HOST, host);
    whole.headers_mut().insert(USER_AGENT, HeaderValue::from_static(PROGRAM));
    whole.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(whole)
}

async fn read(response: Response<Incoming>, body_bytes_max: usize) -> Result<HttpAnswer, HttpError> {
    let (parts, body) = response.into_parts();
    let body = match Limited::new(body, body_bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(HttpError::TooLarge(body_bytes_max)),
        Err(error) => return Err(HttpError::Broken(error)),
    };
    Ok(HttpAnswer { status: parts.status, headers: parts.headers, body })
}

fn unanswered(error: hyper::Error) -> HttpError {
    if error.is_parse() { HttpError::Broken(Box::new(error)) } else { HttpError::Unanswered(error) }
}

impl From<EgressError> for HttpError {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::ResolvedTooLate | EgressError::NoAnswer(_) | EgressError::TlsTooLate => {
                Self::TooLate
            }
            error => Self::Unconnected(error),
        }
    }
}

impl HttpError {
    /// Whether the other end cannot have answered: it was not reached, or went away before it did.
    pub fn is_connection_failure(&self) -> bool {
        match self {
            Self::Unconnected(EgressError::Forbidden(..)) => false,
            Self::Unconnected(_) | Self::Unanswered(_) => true,
            Self::TooLate | Self::TooLarge(_) | Self::Broken(_) => false,
        }
    }
}

/// How we call ourselves.
const PROGRAM: &str = concat!("Patchcord/", env!("CARGO_PKG_VERSION"));

/// The largest header of an answer.
const HEADER_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::install_crypto;
    use crate::tasks::Tasks;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What becomes of a POST to a server that reads it, answers `pieces` with `pause` between them and closes;
    /// and what the server read.
    async fn posted(
        pieces: &[&[u8]],
        pause: Duration,
        patience: Duration,
    ) -> (Result<HttpAnswer, HttpError>, String) {
        install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/config?x=1", listener.local_addr().unwrap());
        let url = WebUrl::parse(&url).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8_192];
            let length = stream.read(&mut request).await.unwrap();
            let mut at = Instant::now();
            for piece in pieces {
                at += pause;
                tokio::time::sleep_until(at).await;
                if stream.write_all(piece).await.is_err() {
                    break;
                }
            }
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let (tasks, _threads) = Tasks::start(1).unwrap();
        let egress = Egress::new(tasks);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer k"));
        let request =
            HttpRequest { method: Method::POST, url: &url, headers, body: Bytes::from_static(b"{}") };
        let deadline = Instant::now() + patience;
        let terms = HttpTerms { trust: &Trust::Operator, deadline, body_bytes_max: 64 };
        let asked = tokio::time::timeout(patience * 2, send(&egress, request, terms));
        let (answer, read) = tokio::join!(asked, serve);
        (answer.expect("the deadline holds"), read)
    }

    const AT_ONCE: Duration = Duration::ZERO;
    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_request_names_its_host_path_and_length_and_the_answer_comes_whole() {
        let answer: &[u8] =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
        let (answered, read) = posted(&[&answer[..30], &answer[30..]], AT_ONCE, PATIENCE).await;
        let answered = answered.unwrap();
        assert_eq!((answered.status, &answered.body[..]), (StatusCode::OK, &b"abcde"[..]));
        assert!(read.starts_with("POST /config?x=1 HTTP/1.1\r\n"), "{read}");
        for line in [
            "\r\nhost: 127.0.0.1:",
            "\r\nauthorization: Bearer k\r\n",
            "\r\ncontent-length: 2\r\n",
            "\r\n\r\n{}",
        ] {
            assert!(read.contains(line), "{line} is not in {read}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        let (answered, _) = posted(&[answer], AT_ONCE, PATIENCE).await;
        assert_eq!(answered.unwrap().status, StatusCode::FOUND);
    }

    #[tokio::test]
    async fn every_way_not_to_answer_has_its_own_name() {
        let long = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 65]].concat();
        let told = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n";
        for answer in [&long[..], told] {
            let (answered, _) = posted(&[answer, &[b'x'; 65]], AT_ONCE, PATIENCE).await;
            assert!(matches!(answered, Err(HttpError::TooLarge(64))), "{answered:?}");
        }
        let (answered, _) = posted(&[], AT_ONCE, PATIENCE).await;
        assert!(answered.unwrap_err().is_connection_failure());
        for broken in [&b"SSH-2.0-hello\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"] {
            let (answered, _) = posted(&[broken], AT_ONCE, PATIENCE).await;
            assert!(matches!(answered, Err(HttpError::Broken(_))), "{answered:?}");
        }
        let header = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 100_000]].concat();
        let (answered, _) = posted(&[&header], AT_ONCE, PATIENCE).await;
        assert!(matches!(answered, Err(HttpError::Broken(_))), "{answered:?}");
    }

    #[tokio::test]
    async fn an_answer_that_drips_or_never_comes_is_over_at_the_deadline() {
        let drips: Vec<&[u8]> =
            b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n".chunks(4).chain([&b"x"[..]; 30]).collect();
        let began = Instant::now();
        let (answered, _) = posted(&drips, Duration::from_millis(20), Duration::from_millis(300)).await;
        assert!(matches!(answered, Err(HttpError::TooLate)), "{answered:?}");
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
}
