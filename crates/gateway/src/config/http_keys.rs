//! `[[http.keys]]`: who may use the HTTP API, and what for.

use super::problem::Refusal;
use super::secret::Secret;
use super::section::{Section, Setting};

/// One of `[[http.keys]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose it is, for logs.
    pub name: String,
    /// What is presented as `Authorization: Bearer …`.
    pub key: Secret,
    /// What it opens.
    pub role: Role,
}

/// What a key opens; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks at everything, changes nothing.
    Reader,
    /// Places, transfers and ends calls.
    Operator,
    /// Deletes, and has callbacks sent again.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Role; 3] = [Role::Reader, Role::Operator, Role::Admin];

    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl Setting for Role {
    fn from_text(text: &str) -> Result<Role, Refusal> {
        let found = Role::ALL.into_iter().find(|role| role.word() == text);
        found.ok_or_else(|| Refusal::unknown("role", text, &Role::ALL.map(Role::word)))
    }
}

/// Reads `keys` of `[http]`; none when something is wrong.
pub(super) fn read(http: &Section<'_>) -> Option<Vec<ApiKey>> {
    let sections = http.list_of_sections("keys");
    let keys: Vec<Option<ApiKey>> = sections.iter().map(ApiKey::read).collect();
    if keys.len() > KEYS_MAX {
        http.refuse("keys", Refusal::new(format!("more than {KEYS_MAX} keys"), "share or remove some"));
        return None;
    }
    for (index, key) in keys.iter().enumerate() {
        let Some(key) = key else { continue };
        for earlier in keys.get(..index).unwrap_or_default().iter().flatten() {
            let (name, same) = match (earlier.name == key.name, earlier.key == key.key) {
                (true, _) => ("name", "name"),
                (_, true) => ("key", "secret"),
                (false, false) => continue,
            };
            let what = format!("an earlier key has the same {same}");
            let cure = "give each key a name and a secret of its own";
            if let Some(section) = sections.get(index) {
                section.refuse(name, Refusal::new(what, cure));
            }
        }
    }
    keys.into_iter().collect()
}

impl ApiKey {
    fn read(section: &Section<'_>) -> Option<ApiKey> {
        let name: Option<String> = section.value("name");
        let (key, role) = (section.value::<Secret>("key"), section.value("role"));
        if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            section.refuse("name", Refusal::new("this is too long for a name", "at most 64 bytes"));
        }
        if let Some(key) = &key {
            let text = key.expose();
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_plain || !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&text.len()) {
                let what = "this is no key: 16 to 256 letters, digits and signs, without blanks";
                section.refuse("key", Refusal::new(what, "draw one: openssl rand -hex 24"));
            }
        }
        Some(ApiKey { name: name?, key: key?, role: role? })
    }
}

/// Keys in one file.
const KEYS_MAX: usize = 256;
/// The longest name.
const NAME_BYTES_MAX: usize = 64;
/// The shortest key: one that can be guessed is none.
const KEY_BYTES_MIN: usize = 16;
/// The longest key.
const KEY_BYTES_MAX: usize = 256;
