//! What one direction's session keys do to one packet: derivation (RFC 3711 §4.3), AES-CM with HMAC-SHA1
//! (RFC 3711 §4.1, §4.2; RFC 6188) and AES-GCM (RFC 7714). Knows no order of packets and no network.

use aes::cipher::{InnerIvInit, KeyInit, KeyIvInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes128Gcm, Aes256Gcm, Nonce, Tag};
use ctr::flavors::Ctr128BE;
use ctr::{Ctr128BE as CounterMode, CtrCore};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use zeroize::Zeroize;

use super::suite::{MasterKey, SrtpSuite};

/// Session keys for RTP, or for RTCP, of one direction.
pub(super) struct Transform {
    mode: Mode,
    /// Two zeros follow where the mode has 12 bytes.
    salt: [u8; 14],
    tag_bytes: usize,
}

enum Mode {
    Cm128(Aes128Enc, Hmac<Sha1>),
    Cm256(Aes256Enc, Hmac<Sha1>),
    Gcm128(Aes128Gcm),
    Gcm256(Aes256Gcm),
}

/// Which packets the keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rtp,
    Rtcp,
}

/// Whose turn it is, and where in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ssrc: u32,
    /// 48 bits of RTP, 31 of RTCP.
    pub(super) index: u64,
}

impl Transform {
    pub(super) fn derive(master: &MasterKey, kind: Kind) -> Self {
        let suite = master.suite();
        let (labels, tag_bytes) = match kind {
            Kind::Rtp => ([0, 1, 2], suite.rtp_tag_bytes()),
            Kind::Rtcp => ([3, 4, 5], suite.rtcp_tag_bytes()),
        };
        let [for_key, for_auth, for_salt] = labels;
        let (mut key, mut auth, mut salt) = ([0; 32], [0; AUTH_KEY_BYTES], [0; 14]);
        let key = key.get_mut(..suite.key_bytes()).unwrap_or_default();
        derive(master, for_key, key);
        derive(master, for_auth, &mut auth);
        derive(master, for_salt, salt.get_mut(..suite.salt_bytes()).unwrap_or_default());
        let transform = Self::new(suite, key, &auth, salt, tag_bytes);
        key.zeroize();
        auth.zeroize();
        transform
    }

    fn new(suite: SrtpSuite, key: &[u8], auth: &[u8], salt: [u8; 14], tag_bytes: usize) -> Self {
        // A block of 64 bytes: a shorter key is filled up with zeros (RFC 2104 §2).
        let auth = <Hmac<Sha1> as KeyInit>::new(&array(auth));
        let mode = match suite {
            SrtpSuite::AesCm128Sha1Tag80 | SrtpSuite::AesCm128Sha1Tag32 => {
                Mode::Cm128(Aes128Enc::new(&array(key)), auth)
            }
            SrtpSuite::AesCm256Sha1Tag80 | SrtpSuite::AesCm256Sha1Tag32 => {
                Mode::Cm256(Aes256Enc::new(&array(key)), auth)
            }
            SrtpSuite::AeadAes128Gcm => Mode::Gcm128(Aes128Gcm::new(&array(key))),
            SrtpSuite::AeadAes256Gcm => Mode::Gcm256(Aes256Gcm::new(&array(key))),
        };
        Self { mode, salt, tag_bytes }
    }

    /// Keys as the standards' examples give them: session key and salt, without authentication.
    #[cfg(test)]
    pub(super) fn with_session_keys(suite: SrtpSuite, key_and_salt: &[u8], kind: Kind) -> Self {
        let (key, rest) = key_and_salt.split_at(suite.key_bytes());
        let mut salt = [0; 14];
        salt[..rest.len()].copy_from_slice(rest);
        let tag_bytes = if kind == Kind::Rtp { suite.rtp_tag_bytes() } else { suite.rtcp_tag_bytes() };
        Self::new(suite, key, &[], salt, tag_bytes)
    }

    pub(super) const fn tag_bytes(&self) -> usize {
        self.tag_bytes
    }

    pub(super) const fn is_aead(&self) -> bool {
        matches!(self.mode, Mode::Gcm128(_) | Mode::Gcm256(_))
    }

    /// Encrypts or decrypts in place, in counter mode.
    pub(super) fn apply_counter(&self, place: Place, body: &mut [u8]) {
        // RFC 3711 §4.1.1: salt × 2^16 xor SSRC × 2^64 xor index × 2^16.
        let mut iv = [0; 16];
        iv.iter_mut().zip(self.salt).for_each(|(to, salt)| *to = salt);
        xor(&mut iv, 4, &place.ssrc.to_be_bytes());
        xor(&mut iv, 6, &place.index.to_be_bytes());
        match &self.mode {
            Mode::Cm128(cipher, _) => {
                let core = CtrCore::<&Aes128Enc, Ctr128BE>::inner_iv_init(cipher, &iv.into());
                StreamCipherCoreWrapper::from_core(core).apply_keystream(body);
            }
            Mode::Cm256(cipher, _) => {
                let core = CtrCore::<&Aes256Enc, Ctr128BE>::inner_iv_init(cipher, &iv.into());
                StreamCipherCoreWrapper::from_core(core).apply_keystream(body);
            }
            Mode::Gcm128(_) | Mode::Gcm256(_) => {}
        }
    }

    /// Appends the tag over `packet` and what stands behind it in thought; of HMAC alone.
    pub(super) fn append_tag(&self, packet: &mut Vec<u8>, behind: &[u8]) {
        if let Some(mac) = self.mac([packet, behind]) {
            let tag = mac.finalize().into_bytes();
            packet.extend_from_slice(tag.get(..self.tag_bytes).unwrap_or_default());
        }
    }

    /// Whether `tag` is the one over `parts`, in a time that tells nothing about it; of HMAC alone.
    pub(super) fn is_tag_of(&self, parts: [&[u8]; 2], tag: &[u8]) -> bool {
        self.mac(parts).is_some_and(|mac| mac.verify_truncated_left(tag).is_ok())
    }

    /// Encrypts `body` in place and appends its tag to it, with the associated data; of GCM alone.
    pub(super) fn seal(&self, place: Place, kind: Kind, data: &[u8], body: &mut [u8]) -> Option<[u8; 16]> {
        let iv = self.nonce(place, kind);
        let tag = match &self.mode {
            Mode::Gcm128(cipher) => cipher.encrypt_in_place_detached(Nonce::from_slice(&iv), data, body),
            Mode::Gcm256(cipher) => cipher.encrypt_in_place_detached(Nonce::from_slice(&iv), data, body),
            Mode::Cm128(..) | Mode::Cm256(..) => return None,
        };
        tag.ok().map(Into::into)
    }

    /// Decrypts `body` in place; `false` where the tag is wrong; of GCM alone.
    pub(super) fn open(&self, place: Place, kind: Kind, data: &[u8], body: &mut [u8], tag: &[u8]) -> bool {
        let (iv, tag) = (self.nonce(place, kind), Tag::from_slice(tag));
        let nonce = Nonce::from_slice(&iv);
        match &self.mode {
            Mode::Gcm128(cipher) => cipher.decrypt_in_place_detached(nonce, data, body, tag).is_ok(),
            Mode::Gcm256(cipher) => cipher.decrypt_in_place_detached(nonce, data, body, tag).is_ok(),
            Mode::Cm128(..) | Mode::Cm256(..) => false,
        }
    }

    /// RFC 7714 §8.1 (RTP: SSRC, rollover counter and sequence number) and §9.1 (RTCP: SSRC and index).
    fn nonce(&self, place: Place, kind: Kind) -> [u8; 12] {
        let mut iv = [0; 12];
        iv.iter_mut().zip(self.salt).for_each(|(to, salt)| *to = salt);
        xor(&mut iv, 2, &place.ssrc.to_be_bytes());
        match kind {
            Kind::Rtp => xor(&mut iv, 4, &place.index.to_be_bytes()),
            Kind::Rtcp => xor(&mut iv, 8, &(place.index as u32).to_be_bytes()),
        }
        iv
    }

    fn mac(&self, parts: [&[u8]; 2]) -> Option<Hmac<Sha1>> {
        let (Mode::Cm128(_, auth) | Mode::Cm256(_, auth)) = &self.mode else { return None };
        let mut mac = auth.clone();
        parts.iter().for_each(|part| mac.update(part));
        Some(mac)
    }
}

/// RFC 3711 §4.3.1 with a derivation rate of zero: the keystream of the master key from (label, salt).
fn derive(master: &MasterKey, label: u8, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv.iter_mut().zip(master.salt()).for_each(|(to, salt)| *to = salt);
    xor(&mut iv, 7, &[label]);
    out.fill(0);
    if master.key().len() == 16 {
        CounterMode::<Aes128Enc>::new(&array(master.key()), &iv.into()).apply_keystream(out);
    } else {
        CounterMode::<Aes256Enc>::new(&array(master.key()), &iv.into()).apply_keystream(out);
    }
}

/// A key as the cipher takes it; the suite gives it the right length.
fn array<N: aes::cipher::generic_array::ArrayLength<u8>>(
    key: &[u8],
) -> aes::cipher::generic_array::GenericArray<u8, N> {
    key.iter().copied().chain(std::iter::repeat(0)).take(N::USIZE).collect()
}

fn xor(iv: &mut [u8], at: usize, bytes: &[u8]) {
    iv.iter_mut().skip(at).zip(bytes).for_each(|(to, byte)| *to ^= byte);
}

/// HMAC-SHA1 takes 160 bits (RFC 3711 §5.2).
const AUTH_KEY_BYTES: usize = 20;
