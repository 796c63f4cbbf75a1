//! Who protects what by which key: offer and answer of `a=crypto` (RFC 4568 §7, and RFC 8643 for RTP/AVP).
//!
//! Knows suites by name and length alone; what they do to packets is not known here.

use std::fmt;

use super::{CryptoLine, Profile, SdpAudio, Session};

/// Whether audio is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// Never: offers of RTP/SAVP are refused, keys in RTP/AVP passed over.
    Off,
    /// Where the peer has it too.
    #[default]
    Optional,
    /// Always: a peer without is refused.
    Required,
}

/// A crypto suite that can be agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuiteSpec {
    /// Its name in `a=crypto`.
    pub name: &'static str,
    /// Octets of master key and salt together.
    pub key_octets: usize,
}

/// The keys that both ends have told each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedKeys {
    /// What we protect by.
    pub ours: CryptoLine,
    /// What the peer protects by.
    pub theirs: CryptoLine,
}

/// Why there is no agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdesFault {
    /// There is no audio that could be used at all.
    #[error("no usable audio")]
    NoAudio,
    /// We require protection and the peer gives no key.
    #[error("the peer has no protected audio")]
    Required,
    /// The peer requires protection, and we have it switched off, or none of its suites.
    #[error("no crypto suite in common")]
    NothingInCommon,
    /// The system has no randomness to give.
    #[error("no randomness for a key")]
    NoRandomness,
}

/// Fills a key with random octets; `false` when there are none.
pub type DrawKey = fn(&mut [u8]) -> bool;

/// Our half of the agreement on keys, over the life of a call.
#[derive(Clone)]
pub struct Sdes {
    protection: Protection,
    suites: &'static [SuiteSpec],
    draw: DrawKey,
    /// The transport of our next offer.
    profile: Profile,
    offered: Vec<CryptoLine>,
    agreed: Option<AgreedKeys>,
}

impl Sdes {
    /// A call without keys so far; `suites` in the order of our offers.
    pub fn new(protection: Protection, suites: &'static [SuiteSpec], draw: DrawKey) -> Self {
        let profile = first_profile(protection);
        Self { protection, suites, draw, profile, offered: Vec::new(), agreed: None }
    }

    /// The audio of a description that suits us, and its key to take. The peer's order decides (§5.1.2).
    ///
    /// # Errors
    /// [`SdesFault`] when none suits.
    pub fn choose(&self, description: &Session) -> Result<(SdpAudio, Option<CryptoLine>), SdesFault> {
        let mut fault = SdesFault::NoAudio;
        for audio in description.audios() {
            let is_protected = audio.profile.is_protected();
            let key = audio.cryptos.iter().find(|line| self.suite_of(line).is_some()).cloned();
            match (self.protection, key) {
                (Protection::Optional | Protection::Required, Some(key)) => return Ok((audio, Some(key))),
                (Protection::Off | Protection::Optional, _) if !is_protected => return Ok((audio, None)),
                (Protection::Off | Protection::Optional, _) => fault = SdesFault::NothingInCommon,
                (Protection::Required, None) if is_protected || !audio.cryptos.is_empty() => {
                    fault = SdesFault::NothingInCommon;
                }
                (Protection::Required, None) => fault = SdesFault::Required,
            }
        }
        Err(fault)
    }

    /// Takes the key of an offer and gives the lines of our answer: the key that we have where the peer's is the
    /// one that it had, else a fresh one. Offers of ours keep the transport that the key came by.
    ///
    /// # Errors
    /// [`SdesFault::NoRandomness`]; the agreement stays as it was.
    pub fn answer(
        &mut self,
        profile: Profile,
        theirs: Option<CryptoLine>,
    ) -> Result<Vec<CryptoLine>, SdesFault> {
        let Some(theirs) = theirs else {
            (self.profile, self.agreed) = (first_profile(self.protection), None);
            return Ok(Vec::new());
        };
        let kept = self.agreed.as_ref().filter(|agreed| is_same_key(&agreed.theirs, &theirs));
        let ours = match kept {
            Some(agreed) => CryptoLine { tag: theirs.tag, ..agreed.ours.clone() },
            None => self.draw(theirs.tag, self.suite_of(&theirs).ok_or(SdesFault::NothingInCommon)?)?,
        };
        (self.profile, self.agreed) = (profile, Some(AgreedKeys { ours: ours.clone(), theirs }));
        Ok(vec![ours])
    }

    /// The transport and the lines of our offer: the key that we have, or one for each suite.
    ///
    /// # Errors
    /// [`SdesFault::NoRandomness`].
    pub fn offer(&mut self) -> Result<(Profile, Vec<CryptoLine>), SdesFault> {
        if self.protection == Protection::Off {
            return Ok((Profile::Avp, Vec::new()));
        }
        self.offered = match &self.agreed {
            Some(agreed) => vec![agreed.ours.clone()],
            None => {
                (1..).zip(self.suites).map(|(tag, suite)| self.draw(tag, *suite)).collect::<Result<_, _>>()?
            }
        };
        Ok((self.profile, self.offered.clone()))
    }

    /// Takes the key of the answer to our offer, or to our key in force when that was described again.
    ///
    /// # Errors
    /// [`SdesFault::NothingInCommon`] when it answers what was not offered; the agreement stays as it was.
    pub fn accept(&mut self, theirs: Option<CryptoLine>) -> Result<(), SdesFault> {
        self.agreed = match theirs {
            None => {
                self.profile = first_profile(self.protection);
                None
            }
            Some(theirs) => {
                let answers = |ours: &&CryptoLine| ours.tag == theirs.tag && ours.suite == theirs.suite;
                let in_force = self.agreed.iter().map(|agreed| &agreed.ours);
                let ours = in_force.chain(&self.offered).find(answers).cloned();
                let ours = ours.ok_or(SdesFault::NothingInCommon)?;
                Some(AgreedKeys { ours, theirs })
            }
        };
        Ok(())
    }

    /// The keys in force.
    pub fn agreed(&self) -> Option<&AgreedKeys> {
        self.agreed.as_ref()
    }

    fn suite_of(&self, line: &CryptoLine) -> Option<SuiteSpec> {
        let fits = |suite: &&SuiteSpec| suite.name == line.suite && suite.key_octets == line.key.len();
        self.suites.iter().find(fits).copied()
    }

    fn draw(&self, tag: u32, suite: SuiteSpec) -> Result<CryptoLine, SdesFault> {
        let mut key = vec![0; suite.key_octets];
        if !(self.draw)(&mut key) {
            return Err(SdesFault::NoRandomness);
        }
        Ok(CryptoLine { tag, suite: suite.name.to_owned(), key, lifetime: None, mki: None })
    }
}

impl fmt::Debug for Sdes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suite = self.agreed.as_ref().map(|agreed| &agreed.ours.suite);
        f.debug_struct("Sdes")
            .field("protection", &self.protection)
            .field("agreed", &suite)
            .finish_non_exhaustive()
    }
}

/// The transport of an offer where there is no key so far.
fn first_profile(protection: Protection) -> Profile {
    match protection {
        Protection::Off | Protection::Optional => Profile::Avp,
        Protection::Required => Profile::Savp,
    }
}

fn is_same_key(one: &CryptoLine, other: &CryptoLine) -> bool {
    one.suite == other.suite && one.key == other.key && one.mki == other.mki
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const SUITES: &[SuiteSpec] =
        &[SuiteSpec { name: "LONG", key_octets: 6 }, SuiteSpec { name: "SHORT", key_octets: 3 }];

    /// Keys that differ from each other.
    fn draw(key: &mut [u8]) -> bool {
        use std::sync::atomic::{AtomicU8, Ordering};
        static NEXT: AtomicU8 = AtomicU8::new(1);
        key.fill(NEXT.fetch_add(1, Ordering::Relaxed));
        true
    }

    fn sdes(protection: Protection) -> Sdes {
        Sdes::new(protection, SUITES, draw)
    }

    fn description(media: &str) -> Session {
        parse(&format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n{media}")).unwrap()
    }

    fn chosen(protection: Protection, media: &str) -> Result<(usize, Option<u32>), SdesFault> {
        let (audio, key) = sdes(protection).choose(&description(media))?;
        Ok((audio.index, key.map(|key| key.tag)))
    }

    const PLAIN: &str = "m=audio 4000 RTP/AVP 0\n";
    const SAVP: &str = "m=audio 4000 RTP/SAVP 0\na=crypto:1 OTHER inline:AAAA\na=crypto:2 SHORT inline:AAAA\na=crypto:3 LONG inline:AAAAAAAA\n";
    const INVITING: &str = "m=audio 4000 RTP/AVP 0\na=crypto:7 LONG inline:AAAAAAAA\n";
    const FOREIGN: &str = "m=audio 4000 RTP/SAVP 0\na=crypto:1 OTHER inline:AAAA\n";

    #[test]
    fn what_is_chosen_depends_on_what_is_wanted_and_what_is_there() {
        use Protection::{Off, Optional, Required};
        use SdesFault::{NoAudio, NothingInCommon};
        for (media, off, optional, required) in [
            (PLAIN, Ok((0, None)), Ok((0, None)), Err(SdesFault::Required)),
            (SAVP, Err(NothingInCommon), Ok((0, Some(2))), Ok((0, Some(2)))),
            (INVITING, Ok((0, None)), Ok((0, Some(7))), Ok((0, Some(7)))),
            (FOREIGN, Err(NothingInCommon), Err(NothingInCommon), Err(NothingInCommon)),
            (&format!("{FOREIGN}{PLAIN}"), Ok((1, None)), Ok((1, None)), Err(SdesFault::Required)),
            (&format!("{SAVP}{PLAIN}"), Ok((1, None)), Ok((0, Some(2))), Ok((0, Some(2)))),
            ("m=audio 4000 UDP/TLS/RTP/SAVPF 0\n", Err(NoAudio), Err(NoAudio), Err(NoAudio)),
        ] {
            assert_eq!(chosen(Off, media), off, "off: {media}");
            assert_eq!(chosen(Optional, media), optional, "optional: {media}");
            assert_eq!(chosen(Required, media), required, "required: {media}");
        }
        assert_eq!(chosen(Optional, &SAVP.replace("SAVP", "SAVPF")), Ok((0, Some(2))));
        let short = "m=audio 4000 RTP/SAVP 0\na=crypto:1 LONG inline:AAAA\n";
        assert_eq!(chosen(Optional, short), Err(NothingInCommon), "half a key");
    }

    #[test]
    fn the_same_key_keeps_ours_and_a_new_one_draws_a_new_one() {
        let mut sdes = sdes(Protection::Optional);
        let mut take = |media: &str| {
            let (audio, key) = sdes.choose(&description(media)).unwrap();
            sdes.answer(audio.profile, key).unwrap()
        };
        let first = take(INVITING);
        assert_eq!(
            (first.len(), first[0].tag, first[0].suite.as_str(), first[0].key.len()),
            (1, 7, "LONG", 6)
        );
        assert_eq!(take(INVITING), first);
        let again = take(&INVITING.replace("crypto:7", "crypto:1"));
        assert_eq!((again[0].tag, &again[0].key), (1, &first[0].key));
        assert_ne!(take(&INVITING.replace("AAAAAAAA", "BBBBBBBB"))[0].key, first[0].key);
        assert_eq!(take(PLAIN), []);
        assert_eq!(sdes.agreed(), None);
    }

    #[test]
    fn a_key_in_force_goes_on_by_its_transport_and_is_answered_when_described_again() {
        let mut sdes = sdes(Protection::Optional);
        let (audio, key) = sdes.choose(&description(SAVP)).unwrap();
        let ours = sdes.answer(audio.profile, key).unwrap();
        let theirs = CryptoLine { key: vec![9; 3], ..ours[0].clone() };
        sdes.accept(Some(theirs.clone())).unwrap();
        assert_eq!(sdes.agreed(), Some(&AgreedKeys { ours: ours[0].clone(), theirs }));
        assert_eq!(sdes.offer(), Ok((Profile::Savp, ours)));
        sdes.accept(None).unwrap();
        assert_eq!(sdes.offer().unwrap().0, Profile::Avp);
    }

    #[test]
    fn an_offer_has_a_key_for_every_suite_and_the_answer_takes_one_of_them() {
        assert_eq!(sdes(Protection::Off).offer(), Ok((Profile::Avp, vec![])));
        for (protection, profile) in
            [(Protection::Optional, Profile::Avp), (Protection::Required, Profile::Savp)]
        {
            let mut sdes = sdes(protection);
            let (offered, lines) = sdes.offer().unwrap();
            assert_eq!((offered, lines.len()), (profile, 2));
            assert_ne!(lines[0].key[..3], lines[1].key);
            let theirs = CryptoLine { key: vec![9; 3], ..lines[1].clone() };
            assert_eq!(
                sdes.accept(Some(CryptoLine { tag: 1, ..theirs.clone() })),
                Err(SdesFault::NothingInCommon)
            );
            sdes.accept(Some(theirs.clone())).unwrap();
            assert_eq!(sdes.agreed(), Some(&AgreedKeys { ours: lines[1].clone(), theirs }));
            assert_eq!(sdes.offer(), Ok((profile, vec![lines[1].clone()])), "the key goes on");
            sdes.accept(None).unwrap();
            assert_eq!(sdes.agreed(), None);
        }
    }
}
