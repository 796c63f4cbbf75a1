//! Digest, the server's half: challenges, and whether credentials prove who sent a request (RFC 7616 §3.4.6).

use std::net::IpAddr;
use std::time::Instant;

use subtle::ConstantTimeEq;

use super::nonces::{Nonces, Stale};
use super::{Allowance, Directory};
use crate::digest::{Algorithm, Challenge, Credentials};
use crate::message::{Message, SipUri};

/// Challenges and judges. It says nothing of what somebody proven may do.
pub(crate) struct Verifier {
    nonces: Option<Nonces>,
    /// Wrong guesses that each source has left.
    guesses: Allowance,
}

/// What a request proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It comes from this extension.
    Is(String),
    /// Nothing yet: challenge it. `stale` when it had a nonce that is not good; its password was not looked at.
    Nothing { stale: bool },
    /// Nothing, and another challenge would change nothing: the password is wrong, or the number is none.
    Wrong,
    /// Its credentials were not looked at: its source has guessed too often.
    TooManyGuesses,
    /// Its credentials are not what we asked for, and why.
    Malformed(&'static str),
}

impl Verifier {
    pub(crate) fn new() -> Self {
        let guesses = Allowance::new(GUESSES_PER_SECOND, GUESSES_AT_ONCE_MAX, GUESSERS_MAX);
        Self { nonces: None, guesses }
    }

    /// Judges the credentials of a request. An unknown number takes the way of a known one with a wrong password,
    /// sum for sum. Only who has heard our challenge can guess: a forged source uses up nobody's guesses.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        source: IpAddr,
        request: &Message,
        directory: &dyn Directory,
    ) -> Proof {
        let algorithms = directory.algorithms();
        let ours = |field: &str| {
            let is_asked =
                |found: &Credentials| found.realm == REALM && algorithms.contains(&found.algorithm);
            Credentials::parse(field).filter(is_asked)
        };
        let fields = request.headers.all("Authorization");
        let Some(credentials) = fields.filter_map(ours).next() else {
            return Proof::Nothing { stale: false };
        };
        let Some(count) = credentials.counted.as_ref().map(|used| used.count) else {
            return Proof::Malformed("Credentials Without qop=auth");
        };
        if !is_same_uri(&credentials.uri, request.uri().unwrap_or("")) {
            return Proof::Malformed("Credentials For Another URI");
        }
        let good = match self.nonces(now).check(now, source, &credentials.nonce, count) {
            Ok(good) => good,
            Err(stale) => return used_up(stale),
        };
        if !self.guesses.has(now, source) {
            return Proof::TooManyGuesses;
        }
        let extension = directory.find(&credentials.username, source);
        let password = extension.as_ref().map_or(NOBODYS_PASSWORD, |extension| &extension.password);
        let secret = credentials.algorithm.secret(&credentials.username, REALM, password);
        let expected = credentials.expected(&secret, request.method().unwrap_or(""));
        let is_right = bool::from(expected.as_bytes().ct_eq(credentials.response.as_bytes()));
        if !(is_right & extension.is_some()) {
            self.guesses.take(now, source);
            return Proof::Wrong;
        }
        match self.nonces(now).take(good) {
            Ok(()) => Proof::Is(credentials.username),
            Err(stale) => used_up(stale),
        }
    }

    /// The values of WWW-Authenticate for a request, one for each algorithm (RFC 8760 §2.3).
    pub(crate) fn challenges(
        &mut self,
        (now, source): (Instant, IpAddr),
        request: &Message,
        mut algorithms: Vec<Algorithm>,
        stale: bool,
    ) -> Vec<String> {
        if knows_md5_alone(request) && algorithms.contains(&Algorithm::Md5) {
            algorithms.retain(|algorithm| *algorithm == Algorithm::Md5);
        }
        let nonce = self.nonces(now).make(now, source);
        let challenge = |algorithm| Challenge::new(REALM, &nonce, algorithm, stale).to_string();
        algorithms.into_iter().map(challenge).collect()
    }

    fn nonces(&mut self, now: Instant) -> &mut Nonces {
        self.nonces.get_or_insert_with(|| Nonces::new(now))
    }
}

fn used_up(stale: Stale) -> Proof {
    tracing::debug!(?stale, "SIP credentials with a nonce that is not good");
    Proof::Nothing { stale: true }
}

/// Whether the phone gives up when it is offered an algorithm that it does not know beside the one that it knows,
/// against RFC 8760 §2.4. By its own word; whoever forges that on the way could as well take our other offer away.
fn knows_md5_alone(request: &Message) -> bool {
    let name = request.headers.first("User-Agent").unwrap_or("");
    MD5_ALONE.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether credentials are for this request URI: a proxy on the way may have written it anew.
fn is_same_uri(named: &str, uri: &str) -> bool {
    if named == uri {
        return true;
    }
    let (Ok(named), Ok(uri)) = (SipUri::parse(named), SipUri::parse(uri)) else { return false };
    let place = |uri: &SipUri| (uri.scheme.clone(), uri.user_decoded(), uri.host.clone(), uri.port);
    place(&named) == place(&uri)
}

/// Whose passwords we ask for.
pub(crate) const REALM: &str = "patchcord";

/// Beginnings of the User-Agent of phones that know MD5 alone.
const MD5_ALONE: [&str; 2] = ["baresip v0.", "baresip v1."];

/// What stands for the password of a number that is none.
const NOBODYS_PASSWORD: &str = "no such extension";

/// Wrong passwords that a source may send at once.
const GUESSES_AT_ONCE_MAX: u32 = 20;

/// How many of them come back in a second: ten in a minute, more than a few phones with a wrong password need that
/// share an address with others.
const GUESSES_PER_SECOND: f64 = 1.0 / 6.0;

/// Sources whose guesses are counted.
const GUESSERS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Extension;
    use super::*;
    use crate::digest::{Account, Use};

    /// 101, whose phones may be anywhere but at 203.0.113.1.
    struct One;

    impl Directory for One {
        fn find(&self, number: &str, source: IpAddr) -> Option<Extension> {
            let is_there = number == "101" && source != IpAddr::from([203, 0, 113, 1]);
            is_there.then(|| Extension { password: "right".to_owned(), contacts_max: 8 })
        }

        fn is_extension(&self, number: &str) -> bool {
            number == "101"
        }

        fn may_be_at(&self, _: IpAddr) -> bool {
            true
        }

        fn algorithms(&self) -> Vec<Algorithm> {
            Algorithm::ALL.to_vec()
        }

        fn carrier_of(&self, _: IpAddr) -> Option<usize> {
            None
        }
    }

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

    /// What a phone of that name is offered.
    fn offers(verifier: &mut Verifier, user_agent: &str, stale: bool) -> Vec<String> {
        let mut request = Message::request("REGISTER", "sip:here");
        request.headers.push("User-Agent", user_agent);
        verifier.challenges((Instant::now(), SOURCE), &request, Algorithm::ALL.to_vec(), stale)
    }

    struct Scene {
        verifier: Verifier,
        now: Instant,
        challenge: Challenge,
    }

    impl Scene {
        fn new(algorithm: usize) -> Self {
            let (mut verifier, now) = (Verifier::new(), Instant::now());
            let offered = offers(&mut verifier, "", false);
            let challenge = Challenge::parse(&offered[algorithm]).unwrap();
            Self { verifier, now, challenge }
        }

        /// The same for a phone at another address, which is challenged there.
        fn at(&mut self, source: IpAddr) -> Phone {
            let (now, request) = (self.now, Message::request("REGISTER", "sip:here"));
            let offered = self.verifier.challenges((now, source), &request, Algorithm::ALL.to_vec(), false);
            Phone(Challenge::parse(&offered[0]).unwrap())
        }

        fn request(&self, user: &str, password: &str, count: u32) -> Message {
            Phone(self.challenge.clone()).request(user, password, count)
        }

        fn judge(&mut self, request: &Message) -> Proof {
            self.verifier.judge(self.now, SOURCE, request, &One)
        }
    }

    /// Who answers a challenge.
    struct Phone(Challenge);

    impl Phone {
        fn request(&self, user: &str, password: &str, count: u32) -> Message {
            let mut request = Message::request("REGISTER", "sip:here");
            let account = Account { username: user.to_owned(), password: password.to_owned() };
            let used = Use::new(count, "c".to_owned());
            let answer = Credentials::answer(&self.0, &account, ("REGISTER", "sip:here"), used);
            request.headers.push("Authorization", answer.to_string());
            request
        }
    }

    const NOTHING: Proof = Proof::Nothing { stale: false };
    const STALE: Proof = Proof::Nothing { stale: true };

    #[test]
    fn both_algorithms_prove_and_the_stronger_is_offered_first() {
        let offered = offers(&mut Verifier::new(), "", true);
        assert!(offered[0].contains("algorithm=SHA-256") && offered[1].contains("algorithm=MD5"));
        assert!(offered.iter().all(|one| one.contains("qop=\"auth\"") && one.contains("stale=true")));
        for algorithm in [0, 1] {
            let mut scene = Scene::new(algorithm);
            let request = scene.request("101", "right", 1);
            assert_eq!(scene.judge(&request), Proof::Is("101".to_owned()));
            assert_eq!(scene.judge(&request), STALE, "a replay");
            for count in [9, 10, 16] {
                let request = scene.request("101", "right", count);
                assert_eq!(scene.judge(&request), Proof::Is("101".to_owned()), "{count:08x}");
            }
            let lower = scene.request("101", "right", 11);
            assert_eq!(scene.judge(&lower), STALE);
        }
    }

    #[test]
    fn a_phone_that_would_give_up_is_offered_md5_alone() {
        let mut verifier = Verifier::new();
        for (user_agent, offered) in [("baresip v1.0.0 (x86_64/linux)", 1), ("baresip v3.1.0", 2), ("", 2)] {
            let found = offers(&mut verifier, user_agent, false);
            assert_eq!(found.len(), offered, "{user_agent}");
            assert!(found.last().unwrap().contains("algorithm=MD5"));
        }
        let request = Message::request("REGISTER", "sip:here");
        let strong = verifier.challenges((Instant::now(), SOURCE), &request, vec![Algorithm::Sha256], false);
        assert!(strong.len() == 1 && strong[0].contains("SHA-256"));
    }

    #[test]
    fn a_wrong_password_an_unknown_number_and_a_wrong_place_look_the_same() {
        let mut scene = Scene::new(0);
        let (wrong, unknown) = (scene.request("101", "wrong", 1), scene.request("999", "right", 1));
        let nobody = scene.request("999", NOBODYS_PASSWORD, 1);
        assert_eq!(
            [&wrong, &unknown, &nobody].map(|request| scene.judge(request)),
            [Proof::Wrong, Proof::Wrong, Proof::Wrong]
        );
        let right = scene.request("101", "right", 1);
        let elsewhere = IpAddr::from([203, 0, 113, 1]);
        let right_elsewhere = scene.at(elsewhere).request("101", "right", 1);
        assert_eq!(scene.verifier.judge(scene.now, elsewhere, &right_elsewhere, &One), Proof::Wrong);
        assert_eq!(scene.judge(&right), Proof::Is("101".to_owned()), "a failure uses up no nonce");
    }

    #[test]
    fn credentials_are_for_one_method_uri_realm_and_nonce() {
        let mut scene = Scene::new(0);
        let right = scene.request("101", "right", 1);
        let field = right.headers.first("Authorization").unwrap().to_owned();
        let with = |method: &str, uri: &str, field: &str| {
            let mut request = Message::request(method, uri);
            request.headers.push("Authorization", field);
            request
        };
        let malformed = |proof: &Proof| matches!(proof, Proof::Malformed(_));
        assert_eq!(scene.judge(&with("INVITE", "sip:here", &field)), Proof::Wrong);
        assert!(malformed(&scene.judge(&with("REGISTER", "sip:there", &field))));
        assert!(malformed(&scene.judge(&with("REGISTER", "sip:101@here", &field))));
        let elsewhere = field.replace("realm=\"patchcord\"", "realm=\"carrier\"");
        assert_eq!(scene.judge(&with("REGISTER", "sip:here", &elsewhere)), NOTHING);
        assert_eq!(scene.judge(&with("REGISTER", "sip:here", "Basic x")), NOTHING);
        assert_eq!(scene.judge(&Message::request("REGISTER", "sip:here")), NOTHING);
        scene.challenge.is_counted = false;
        let uncounted = scene.request("101", "right", 1);
        assert!(malformed(&scene.judge(&uncounted)));
        scene.challenge = Challenge::new(REALM, "0123", Algorithm::Sha256, false);
        scene.challenge.is_counted = true;
        let foreign = scene.request("101", "right", 1);
        assert_eq!(scene.judge(&foreign), STALE, "the nonce of an earlier run");
        assert_eq!(scene.judge(&with("REGISTER", "SIP:HERE", &field)), Proof::Is("101".to_owned()));
    }

    #[test]
    fn whoever_guesses_too_often_is_not_listened_to_for_a_while() {
        let mut scene = Scene::new(0);
        let (wrong, right) = (scene.request("101", "wrong", 1), scene.request("101", "right", 1));
        for _ in 0..GUESSES_AT_ONCE_MAX {
            assert_eq!(scene.judge(&wrong), Proof::Wrong);
        }
        assert_eq!(
            [scene.judge(&wrong), scene.judge(&right)],
            [Proof::TooManyGuesses, Proof::TooManyGuesses]
        );
        let elsewhere = IpAddr::from([198, 51, 100, 8]);
        let right_elsewhere = scene.at(elsewhere).request("101", "right", 1);
        assert_eq!(
            scene.verifier.judge(scene.now, elsewhere, &right_elsewhere, &One),
            Proof::Is("101".to_owned()),
            "others do not suffer"
        );
        scene.now += Duration::from_secs(6);
        assert_eq!([scene.judge(&wrong), scene.judge(&wrong)], [Proof::Wrong, Proof::TooManyGuesses]);
    }

    #[test]
    fn who_forges_a_source_uses_up_none_of_its_guesses() {
        let mut scene = Scene::new(0);
        let right = scene.request("101", "right", 1);
        let nonce = std::mem::replace(&mut scene.challenge.nonce, "garbage".to_owned());
        let garbage = scene.request("101", "wrong", 1);
        scene.challenge.nonce = nonce;
        let of_another = scene.at(IpAddr::from([198, 51, 100, 8])).request("101", "wrong", 1);
        for _ in 0..2 * GUESSES_AT_ONCE_MAX {
            assert_eq!([scene.judge(&garbage), scene.judge(&of_another)], [STALE, STALE]);
        }
        assert_eq!(scene.judge(&right), Proof::Is("101".to_owned()));
    }
}
