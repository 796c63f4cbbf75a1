//! Which phones are registered, in a file: after a restart or a power cut they are called as before.
//!
//! Phones on UDP only. Whose connection breaks registers anew as soon as it notices.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use patchcord_sip::registrar::{Asked, Change, Wish};
use patchcord_sip::{Flow, SipAgent, Transport};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Locations;
use crate::clock::unix_ms;
use crate::config::{CurrentConfig, Extension};
use crate::durable::replace_private;
use crate::hex::hex;
use crate::tasks::blocking;

/// The file, and what it is a copy of.
pub struct PhoneMemory {
    path: PathBuf,
    locations: Locations,
    current: CurrentConfig,
    /// The state of the locations that the file shows.
    kept: u64,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Drawn anew each time: what each `account` begins with.
    salt: String,
    phones: Vec<KeptPhone>,
}

/// What a REGISTER of the phone said.
#[derive(Serialize, Deserialize)]
struct KeptPhone {
    number: String,
    /// Of the number and its password, which are the phone's only as long as both stay.
    account: String,
    uri: String,
    q: u16,
    call_id: String,
    cseq: u32,
    /// Our address as it sees it, and its own as we do.
    local: SocketAddr,
    peer: SocketAddr,
    until_ms: u64,
}

impl PhoneMemory {
    /// The memory of a data folder.
    pub fn new(data_dir: &Path, locations: Locations, current: CurrentConfig) -> Self {
        Self { path: data_dir.join(FILE_NAME), locations, current, kept: 0 }
    }

    /// Knows the phones again that the process before this one knew. A file that cannot be read is told in the log:
    /// its phones are known when they register anew.
    pub fn recall(&self, agent: &SipAgent) {
        let kept = std::fs::read(&self.path).and_then(|bytes| Ok(serde_json::from_slice::<Kept>(&bytes)?));
        match kept {
            Ok(kept) => {
                let phones =
                    kept.phones.iter().filter(|phone| self.know_again(agent, phone, &kept.salt)).count();
                if phones > 0 {
                    info!(phones, "registrations are known again");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let path = self.path.display();
                warn!(%path, %error, "registrations cannot be read: phones are reached when they register anew");
            }
        }
    }

    /// Writes the file whenever something has changed, at most once a second, and once more at `stop`.
    pub async fn keep(mut self, stop: CancellationToken) {
        let mut tick = interval(PACE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_told = false;
        let mut is_over = false;
        while !is_over {
            is_over = stop.run_until_cancelled(tick.tick()).await.is_none();
            let changes = self.locations.registrations().changes();
            if changes == self.kept {
                continue;
            }
            match self.write().await {
                Ok(()) => (self.kept, is_told) = (changes, false),
                Err(error) if !is_told => {
                    is_told = true;
                    let path = self.path.display();
                    warn!(%path, %error, "registrations cannot be written: a restart would forget phones");
                }
                Err(_) => {}
            }
        }
    }

    /// Knows a phone again if its number, its password and our socket are what they were and it has time left;
    /// returns whether.
    fn know_again(&self, agent: &SipAgent, phone: &KeptPhone, salt: &str) -> bool {
        let config = self.current.snapshot();
        let extension = config.find_extension(&phone.number);
        let Some(extension) = extension.filter(|extension| {
            account(extension, salt) == phone.account && extension.may_be_at(phone.peer.ip())
        }) else {
            return false;
        };
        let expires = Duration::from_millis(phone.until_ms.saturating_sub(unix_ms())).min(LEFT_MAX);
        let flow = agent.datagrams_between(phone.local, phone.peer);
        let Some(flow) = flow.filter(|_| !expires.is_zero()) else { return false };
        let asked = Asked { uri: phone.uri.clone(), q: phone.q, expires, flow };
        let (call_id, cseq) = (phone.call_id.clone(), phone.cseq);
        let change = Change { call_id, cseq, wish: Wish::Update(vec![asked]) };
        let (table, now) = (self.locations.registrations(), Instant::now().into_std());
        table.apply(now, &phone.number, change, extension.max_contacts).is_ok()
    }

    async fn write(&self) -> io::Result<()> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| io::Error::other("the system gives no random numbers"))?;
        let (salt, config, now_ms) = (hex(&salt), self.current.snapshot(), unix_ms());
        let renewals = self.locations.registrations().renewals(Instant::now().into_std());
        let path = self.path.clone();
        let written = blocking(move || {
            let renewals = renewals.into_iter();
            let phones = renewals.filter_map(|(number, change)| {
                let extension = config.find_extension(&number)?;
                KeptPhone::of(change, number, account(extension, &salt), now_ms)
            });
            let kept = Kept { phones: phones.collect(), salt: salt.clone() };
            replace_private(&path.with_extension("part"), &path, &serde_json::to_vec(&kept)?)
        });
        written.await.unwrap_or_else(|| Err(io::Error::other("the writer panicked")))
    }
}

impl KeptPhone {
    /// `None` for a phone on a connection, and for what is no registration.
    fn of(change: Change, number: String, account: String, now_ms: u64) -> Option<Self> {
        let Change { call_id, cseq, wish: Wish::Update(asked) } = change else { return None };
        let [Asked { uri, q, expires, flow }] = <[Asked; 1]>::try_from(asked).ok()?;
        let Flow { transport: Transport::Udp, local, peer, .. } = flow else { return None };
        let left_ms = u64::try_from(expires.as_millis()).ok()?;
        Some(Self { number, account, uri, q, call_id, cseq, local, peer, until_ms: now_ms + left_ms })
    }
}

/// A code of an extension's number and password that tells neither.
fn account(extension: &Extension, salt: &str) -> String {
    let parts = [salt, &extension.number, extension.password.expose()];
    hex(&Sha256::digest(parts.join("\n")))
}

const FILE_NAME: &str = "registrations.json";

/// A registration that was made in the last moment before a power cut is made again by its phone.
const PACE: Duration = Duration::from_secs(1);

/// No registration is longer; a clock that was put back does not make it so.
const LEFT_MAX: Duration = Duration::from_secs(3600);

const SALT_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use patchcord_sip::{ListenAddr, SipConfig};

    use super::*;
    use crate::config::Config;

    const TWO: &str = "[[extensions]]\nnumber = \"101\"\npassword = \"one\"\naccept_from = [\"192.0.2.0/24\"]\n\
                       [[extensions]]\nnumber = \"102\"\npassword = \"two\"\n";

    async fn agent() -> SipAgent {
        let listen = vec![ListenAddr::Udp("127.0.0.1:0".parse().unwrap())];
        SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.unwrap().0
    }

    /// What another process with these settings knows again.
    fn recalled(folder: &Path, agent: &SipAgent, settings: &str) -> [usize; 2] {
        let current = CurrentConfig::new(Config::parse(settings).unwrap());
        let locations = Locations::new(current.clone());
        PhoneMemory::new(folder, locations.clone(), current).recall(agent);
        ["101", "102"].map(|number| locations.contacts(number).len())
    }

    #[tokio::test]
    async fn phones_are_known_again_where_number_password_network_and_socket_are_what_they_were() {
        let folder = std::env::temp_dir().join(format!("patchcord-phones-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (agent, current) = (agent().await, CurrentConfig::new(Config::parse(TWO).unwrap()));
        let locations = Locations::new(current.clone());
        let peer = "192.0.2.7:40000".parse().unwrap();
        let flow = agent.datagrams_between(agent.local_addrs()[0].addr(), peer).unwrap();
        let ways = [flow, Flow { transport: Transport::Tcp, link: 7, ..flow }];
        for (number, flow) in [("101", ways[0]), ("102", ways[0]), ("102", ways[1])] {
            let uri = format!("sip:{number}@192.0.2.7;transport={:?}", flow.transport);
            let asked = Asked { uri, q: 500, expires: Duration::from_secs(60), flow };
            let change = Change { call_id: "x".to_owned(), cseq: 1, wish: Wish::Update(vec![asked]) };
            locations.registrations().apply(Instant::now().into_std(), number, change, 8).unwrap();
        }
        let memory = PhoneMemory::new(&folder, locations.clone(), current);
        memory.write().await.unwrap();
        let path = memory.path.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&path).unwrap().contains("two"), "a password stands in the file");
        // The one on a connection is not.
        assert_eq!(recalled(&folder, &agent, TWO), [1, 1]);
        assert_eq!(recalled(&folder, &agent, &TWO.replace("two", "stolen")), [1, 0]);
        assert_eq!(recalled(&folder, &agent, &TWO.replace("192.0.2.0", "198.51.100.0")), [0, 1]);
        assert_eq!(
            recalled(&folder, &agent, "[[extensions]]\nnumber = \"102\"\npassword = \"two\"\n"),
            [0, 1]
        );
        assert_eq!(recalled(&folder, &self::agent().await, TWO), [0, 0]);
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..40]).unwrap();
        assert_eq!(recalled(&folder, &agent, TWO), [0, 0]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
