//! Links to recordings that need no key and expire: an HMAC over the path and the moment.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::catalogue::Part;
use super::repair::parse_name;
use crate::config::{CurrentConfig, WebUrl};
use crate::durable::replace_private;
use crate::hex::hex;
use crate::store::StoredCall;

/// What links are signed with.
#[derive(Clone)]
pub struct Links {
    key: [u8; KEY_BYTES],
}

/// Links as calls are told of: by the settings in effect, and good for as long as a callback may be under way.
#[derive(Debug, Clone)]
pub struct CallLinks {
    links: Links,
    current: CurrentConfig,
}

/// Why a link is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
    /// Nobody here has made it.
    #[error("the signature is wrong")]
    Forged,
}

impl CallLinks {
    /// Those that `links` signs.
    pub fn new(links: Links, current: CurrentConfig) -> Self {
        Self { links, current }
    }

    /// The links to the bot's part and to the whole of `call`, if there are such, made at `now_ms` (ms since 1970).
    pub fn of(&self, call: &StoredCall, now_ms: u64) -> (Option<String>, Option<String>) {
        let config = self.current.snapshot();
        // What a callback says is made once, and may be sent after the last wait.
        let under_way: Duration = config.callbacks.profile.waits().iter().sum();
        let valid = config.recording.links_valid.max(under_way);
        let files = (call.bot_recording.as_deref(), call.full_recording.as_deref());
        let expires_s = (now_ms / 1_000).saturating_add(valid.as_secs());
        self.links.to_recordings(&call.call_id, files, config.http.outside_url().as_ref(), expires_s)
    }
}

impl Links {
    /// The key of a data folder, drawn at the first start.
    ///
    /// # Errors
    /// The system's, with the path in its text.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE_NAME);
        open(data_dir, &path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// The path with its signature, good until `expires_s` (seconds since 1970).
    pub fn sign(&self, path: &str, expires_s: u64) -> String {
        let signature = self.code(path, expires_s).finalize().into_bytes();
        let hex = hex(&signature);
        format!("{path}?expires={expires_s}&signature={hex}")
    }

    /// The links to the recordings of a call, to the bot's part and, where a person had the call as well, to the whole:
    /// below `public_url`, or paths where there is none. `files` are their names.
    pub fn to_recordings(
        &self,
        call_id: &str,
        files: (Option<&str>, Option<&str>),
        public_url: Option<&WebUrl>,
        expires_s: u64,
    ) -> (Option<String>, Option<String>) {
        let root = public_url.map(|url| url.as_uri().to_string()).unwrap_or_default();
        let root = root.trim_end_matches('/');
        let link = |file: &str, usual: &str| {
            // A message has a way of its own: the usual one leads to what was recorded of the call, if anything was.
            let name = message_of(file).map(|take| format!("recordings/{take}/{}", Part::Voicemail.word()));
            let path = format!("/calls/{call_id}/{}", name.as_deref().unwrap_or(usual));
            format!("{root}{}", self.sign(&path, expires_s))
        };
        (files.0.map(|file| link(file, "recording")), files.1.map(|file| link(file, "full-recording")))
    }

    /// Whether the signature of `path` is ours and not too old.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn check(&self, path: &str, expires_s: u64, signature: &str, now_s: u64) -> Result<(), LinkError> {
        let bytes: Option<Vec<u8>> = (signature.len() == 2 * SIGNATURE_BYTES && signature.is_ascii())
            .then(|| (0..SIGNATURE_BYTES).map(|at| signature.get(2 * at..2 * at + 2)))
            .and_then(|pairs| pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect());
        // The comparison takes the same time wherever they differ.
        let known = bytes.is_some_and(|bytes| self.code(path, expires_s).verify_slice(&bytes).is_ok());
        match (known, expires_s >= now_s) {
            (true, true) => Ok(()),
            (true, false) => Err(LinkError::Expired),
            (false, _) => Err(LinkError::Forged),
        }
    }

    fn code(&self, path: &str, expires_s: u64) -> Hmac<Sha256> {
        // An HMAC takes keys of any length.
        let mut code = Hmac::<Sha256>::new((&self.key).into());
        code.update(path.as_bytes());
        code.update(b"\n");
        code.update(&expires_s.to_be_bytes());
        code
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Links")
    }
}

/// Which recording of its call a file is, if it holds a caller's message.
fn message_of(file: &str) -> Option<u32> {
    let (_, take, part) = parse_name(file.rsplit('/').next()?)?;
    (part == Part::Voicemail).then_some(take)
}

fn open(data_dir: &Path, path: &Path) -> io::Result<Links> {
    std::fs::create_dir_all(data_dir)?;
    let mut key = [0; KEY_BYTES];
    match std::fs::File::open(path) {
        Ok(mut file) => file.read_exact(&mut key)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            getrandom::fill(&mut key).map_err(|_| io::Error::other("the system gives no random numbers"))?;
            replace_private(&path.with_extension("part"), path, &key)?;
        }
        Err(error) => return Err(error),
    }
    Ok(Links { key })
}

const FILE_NAME: &str = "links.key";
/// A block of SHA-256.
const KEY_BYTES: usize = 64;
const SIGNATURE_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_public_address_or_to_where_the_server_listens() {
        let of = |text: &str| {
            crate::config::Config::parse(text).unwrap().http.outside_url().map(|url| url.to_string())
        };
        assert_eq!(of("").as_deref(), Some("http://127.0.0.1:8080/"));
        assert_eq!(of("[http]\nlisten = \"127.0.0.1:9000\"\n").as_deref(), Some("http://127.0.0.1:9000/"));
        let public = "[http]\npublic_url = \"https://voice.example.com\"\n[[http.keys]]\nname = \"a\"\n\
                      key = \"0123456789abcdef0123456789\"\nrole = \"admin\"\n";
        assert_eq!(of(public).as_deref(), Some("https://voice.example.com/"));
    }

    #[test]
    fn a_link_is_good_for_its_path_until_its_time() {
        let folder = std::env::temp_dir().join(format!("patchcord-links-{}", std::process::id()));
        let links = Links::open(&folder).unwrap();
        let signed = links.sign("/calls/call_1/recording", 100);
        let signature = signed.rsplit_once("signature=").unwrap().1;
        let again = Links::open(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let check = |path: &str, expires, signature: &str, now| again.check(path, expires, signature, now);
        assert_eq!(check("/calls/call_1/recording", 100, signature, 100), Ok(()));
        assert_eq!(check("/calls/call_1/recording", 100, signature, 101), Err(LinkError::Expired));
        let other = format!("0{}", &signature[1..]);
        let other = if other == signature { format!("1{}", &signature[1..]) } else { other };
        for (path, expires, signature) in [
            ("/calls/call_2/recording", 100, signature),
            ("/calls/call_1/full-recording", 100, signature),
            ("/calls/call_1/recording", 101, signature),
            ("/calls/call_1/recording", 100, &other),
            ("/calls/call_1/recording", 100, ""),
            ("/calls/call_1/recording", 100, &"é".repeat(32)),
        ] {
            assert_eq!(check(path, expires, signature, 50), Err(LinkError::Forged), "{path} {expires}");
        }
    }
}
