//! Crypto suites by their names in SDP (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §12) and the master keys they take.

use std::fmt;

use zeroize::Zeroize;

/// How RTP and RTCP are encrypted and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SrtpSuite {
    /// AES-128 in counter mode, HMAC-SHA1 cut to 80 bits: what every peer must have (RFC 4568 §6.2.1).
    AesCm128Sha1Tag80,
    /// The same with the tag of RTP cut to 32 bits (RFC 4568 §6.2.2).
    AesCm128Sha1Tag32,
    /// AES-256 in counter mode, HMAC-SHA1 cut to 80 bits (RFC 6188).
    AesCm256Sha1Tag80,
    /// The same with the tag of RTP cut to 32 bits (RFC 6188).
    AesCm256Sha1Tag32,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714).
    AeadAes256Gcm,
}

/// A master key with its salt, for one direction. Never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: SrtpSuite,
    /// Key, then salt, then zeros.
    bytes: [u8; MASTER_BYTES_MAX],
}

/// What a sender puts between a packet and its tag to say which master key it used (RFC 3711 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mki {
    /// Its value, in the last `length` bytes.
    pub value: u32,
    /// Bytes in the packet, 1 to 4.
    pub length: u8,
}

/// The keys of a session, as both ends told each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// What we protect by.
    pub ours: MasterKey,
    /// What the phone protects by.
    pub theirs: MasterKey,
    /// What the phone's packets carry besides; ours carry none.
    pub their_mki: Option<Mki>,
}

impl SrtpSuite {
    /// Every suite, in the order in which we would like them.
    pub const ALL: [Self; 6] = [
        Self::AesCm128Sha1Tag80,
        Self::AesCm256Sha1Tag80,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::AesCm128Sha1Tag32,
        Self::AesCm256Sha1Tag32,
    ];

    /// The suite of that name in `a=crypto`; names are case-sensitive (RFC 4568 §9.2).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// The name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128Sha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128Sha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256Sha1Tag80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256Sha1Tag32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of a master key.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm128Sha1Tag32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256Sha1Tag80 | Self::AesCm256Sha1Tag32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub const fn salt_bytes(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of key and salt together: what stands behind `inline:`.
    pub const fn master_bytes(self) -> usize {
        self.key_bytes() + self.salt_bytes()
    }

    pub(super) const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// Bytes of the tag of an RTP packet.
    pub(super) const fn rtp_tag_bytes(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm256Sha1Tag80 => 10,
            Self::AesCm128Sha1Tag32 | Self::AesCm256Sha1Tag32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of the tag of an RTCP packet: the short tag is RTP's alone (RFC 4568 §6.2.2, RFC 6188 §4.1).
    pub(super) const fn rtcp_tag_bytes(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }
}

impl MasterKey {
    /// Key and salt, one behind the other; `None` unless there are [`SrtpSuite::master_bytes`] of them.
    pub fn new(suite: SrtpSuite, key_and_salt: &[u8]) -> Option<Self> {
        let mut bytes = [0; MASTER_BYTES_MAX];
        if key_and_salt.len() != suite.master_bytes() {
            return None;
        }
        bytes.get_mut(..key_and_salt.len())?.copy_from_slice(key_and_salt);
        Some(Self { suite, bytes })
    }

    /// The suite it is for.
    pub const fn suite(&self) -> SrtpSuite {
        self.suite
    }

    pub(super) fn key(&self) -> &[u8] {
        self.bytes.get(..self.suite.key_bytes()).unwrap_or_default()
    }

    /// 14 bytes: a salt of 12 is as if two zeros followed it (RFC 7714 §11).
    pub(super) fn salt(&self) -> [u8; 14] {
        let mut salt = [0; 14];
        let bytes = self.bytes.iter().skip(self.suite.key_bytes());
        salt.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        salt
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, ***)", self.suite.name())
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// AES-256 with a salt of 14 bytes.
const MASTER_BYTES_MAX: usize = 46;
