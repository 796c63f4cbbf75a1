//! A bucket: files go in whole, are looked at, linked to and deleted; requests are signed by SigV4 in their URL.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Body, Frame};
use md5::{Digest, Md5};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::config::{S3, WebUrl};
use crate::net::{Egress, HttpAnswer, HttpError, HttpRequest, HttpTerms, Trust, send, send_stream};
use crate::tasks::blocking;

/// A bucket and who we are there.
#[derive(Clone)]
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    prefix: String,
    egress: Egress,
}

/// Why the store did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The file here.
    #[error("the file: {0}")]
    File(#[from] io::Error),
    /// The way there.
    #[error("the store: {0}")]
    Http(#[from] HttpError),
    /// It refused.
    #[error("the store answered {0}")]
    Refused(StatusCode),
    /// What it has is not what was sent.
    #[error("the store has {found:?} bytes of {sent}")]
    Differs {
        /// Bytes of the file.
        sent: u64,
        /// What the store says that it has.
        found: Option<u64>,
    },
    /// No request can be made of the settings.
    #[error("storage.recordings or storage.s3.endpoint make no address")]
    Address,
}

impl Bucket {
    /// The bucket of the configuration.
    ///
    /// # Errors
    /// [`S3Error::Address`].
    pub fn new(settings: &S3, egress: Egress) -> Result<Self, S3Error> {
        let endpoint = settings.endpoint.as_uri().to_string().parse().map_err(|_| S3Error::Address)?;
        let (name, region) = (settings.bucket.clone(), settings.region.clone());
        let bucket =
            rusty_s3::Bucket::new(endpoint, UrlStyle::Path, name, region).map_err(|_| S3Error::Address)?;
        let credentials = Credentials::new(settings.access_key.clone(), settings.secret_key.expose());
        Ok(Self { bucket, credentials, prefix: settings.prefix.clone(), egress })
    }

    /// Sends a file, which the store checks by its MD5, and looks whether all of it is there.
    ///
    /// # Errors
    /// [`S3Error`]; nothing is known of the object then.
    pub async fn put(&self, name: &str, path: &Path, media_type: &'static str) -> Result<(), S3Error> {
        let own = path.to_owned();
        let digest = blocking(move || md5_of(&own)).await;
        let digest = digest.ok_or_else(|| io::Error::other("the file could not be read"))??;
        let file = tokio::fs::File::open(path).await?;
        let sent = file.metadata().await?.len();
        let object = self.object(name);
        let mut action = self.bucket.put_object(Some(&self.credentials), &object);
        action.headers_mut().insert("content-md5", digest.clone());
        let url = address(action.sign(SIGNED_FOR).as_str())?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(sent));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let digest = HeaderValue::from_str(&digest).map_err(|_| S3Error::Address)?;
        headers.insert(HeaderName::from_static("content-md5"), digest);
        let request = HttpRequest { method: Method::PUT, url: &url, headers, body: Bytes::new() };
        let answer = send_stream(&self.egress, request, body_of(file), terms(UPLOAD_TIMEOUT)).await?;
        good(&answer)?;
        match self.length(name).await? {
            Some(found) if found == sent => Ok(()),
            found => Err(S3Error::Differs { sent, found }),
        }
    }

    /// The length of an object; nothing if there is none.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn length(&self, name: &str) -> Result<Option<u64>, S3Error> {
        let object = self.object(name);
        let signed = self.bucket.head_object(Some(&self.credentials), &object).sign(SIGNED_FOR);
        let answer = self.ask(Method::HEAD, signed.as_str()).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        good(&answer)?;
        let length = answer.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(length)
    }

    /// Deletes an object; one that is not there is deleted.
    ///
    /// # Errors
    /// [`S3Error`].
    pub async fn delete(&self, name: &str) -> Result<(), S3Error> {
        let object = self.object(name);
        let signed = self.bucket.delete_object(Some(&self.credentials), &object).sign(SIGNED_FOR);
        let answer = self.ask(Method::DELETE, signed.as_str()).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { good(&answer) }
    }

    /// An address under which anybody can fetch the object for a while.
    pub fn link(&self, name: &str) -> String {
        self.bucket.get_object(Some(&self.credentials), &self.object(name)).sign(SIGNED_FOR).into()
    }

    async fn ask(&self, method: Method, url: &str) -> Result<HttpAnswer, S3Error> {
        let url = address(url)?;
        let request = HttpRequest { method, url: &url, headers: HeaderMap::new(), body: Bytes::new() };
        Ok(send(&self.egress, request, terms(ANSWER_TIMEOUT)).await?)
    }

    fn object(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("name", &self.bucket.name()).finish_non_exhaustive()
    }
}

/// A file as the body of a request.
fn body_of(file: tokio::fs::File) -> impl Body<Data = Bytes, Error = io::Error> + Send + 'static {
    StreamBody::new(try_unfold(file, async |mut file| {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let length = file.read_buf(&mut piece).await?;
        Ok((length > 0).then(|| (Frame::data(Bytes::from(piece)), file)))
    }))
}

fn address(url: &str) -> Result<WebUrl, S3Error> {
    WebUrl::parse(url).map_err(|_| S3Error::Address)
}

fn good(answer: &HttpAnswer) -> Result<(), S3Error> {
    if answer.status.is_success() { Ok(()) } else { Err(S3Error::Refused(answer.status)) }
}

fn terms(patience: Duration) -> HttpTerms<'static> {
    HttpTerms {
        trust: &Trust::Operator,
        deadline: Instant::now() + patience,
        body_bytes_max: ANSWER_BYTES_MAX,
    }
}

/// The MD5 of a file, as the header says it (RFC 1864).
fn md5_of(path: &Path) -> io::Result<String> {
    let (mut file, mut digest, mut room) = (File::open(path)?, Md5::new(), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut room)? {
            0 => return Ok(STANDARD.encode_to_string(digest.finalize())),
            length => digest.update(room.get(..length).unwrap_or_default()),
        }
    }
}

/// How long a signed address can be used.
const SIGNED_FOR: Duration = Duration::from_secs(900);
/// How long the store may take for a file, and for everything else.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer of the store.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What is read of a file at once.
const PIECE_BYTES: usize = 64 << 10;
