//! Rights on workspaces, and the `scope` claim in which tokens carry them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::auth::narrow::{self, Narrow};

/// What somebody may do in a workspace; each right includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Nothing.
    #[default]
    None,
    /// List, get, check: `r`.
    Read,
    /// Register, call, environment, events: `rw`.
    ReadWrite,
    /// Tokens, clean up, delete: `a`.
    Admin,
}

impl Permission {
    /// The letter used in scopes, empty for no right.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Read => "r",
            Self::ReadWrite => "rw",
            Self::Admin => "a",
        }
    }

    /// The right that a letter of a scope stands for.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        [Self::Read, Self::ReadWrite, Self::Admin].into_iter().find(|right| right.letter() == letter)
    }

    /// The same in words, as `generate_token` takes them; `none` for no right.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::ReadWrite => "read_write",
            Self::Admin => "admin",
        }
    }

    /// The right that `generate_token` names in words: `read`, `read_write` or `admin`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "read" => Some(Self::Read),
            "read_write" => Some(Self::ReadWrite),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// What a token or a user is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The workspace in which its bearer acts (`wid:`).
    pub current_workspace: Option<String>,
    /// Rights by workspace, in the order given; `*` stands for all.
    pub workspaces: Vec<(String, Permission)>,
    /// The only client that may use it (`cid:`).
    pub client_id: Option<String>,
    /// Words with a meaning of their own; `None` for users who came without a token.
    pub extra_scopes: Option<Vec<String>>,
    /// What of it all is left in a narrowed token.
    pub narrow: Option<Arc<Narrow>>,
}

impl Scope {
    /// Full rights in one workspace, which is also the current one.
    #[must_use]
    pub fn owner_of(workspace: &str) -> Self {
        Self {
            current_workspace: Some(workspace.to_owned()),
            workspaces: vec![(workspace.to_owned(), Permission::Admin)],
            ..Self::default()
        }
    }

    /// The strongest right on `workspace`, whether named or by `*`.
    #[must_use]
    pub fn permission(&self, workspace: &str) -> Permission {
        let fits = |name: &str| name == workspace || name == "*";
        self.workspaces
            .iter()
            .filter(|(name, _)| fits(name))
            .map(|(_, right)| *right)
            .max()
            .unwrap_or_default()
    }

    /// Adds a right; the stronger one stays.
    pub fn allow(&mut self, workspace: &str, right: Permission) {
        match self.workspaces.iter_mut().find(|(name, _)| name == workspace) {
            Some((_, known)) => *known = right.max(*known),
            None => self.workspaces.push((workspace.to_owned(), right)),
        }
    }

    /// The scope of a narrowed token.
    #[must_use]
    pub fn narrowed(narrow: Narrow) -> Self {
        Self {
            current_workspace: Some(narrow.workspace.clone()),
            workspaces: vec![(narrow.workspace.clone(), narrow.permission)],
            client_id: None,
            extra_scopes: Some(narrow.words().collect()),
            narrow: Some(Arc::new(narrow)),
        }
    }

    /// The words that make a token specialised (those with a colon): it is then good for nothing but their purpose.
    #[must_use]
    pub fn special(&self) -> Vec<&str> {
        let extra = self.extra_scopes.iter().flatten().map(String::as_str);
        let understood = |word: &str| self.narrow.is_some() && word.starts_with(narrow::PREFIX);
        extra.filter(|word| word.contains(':') && !understood(word)).collect()
    }

    /// Reads the claim. A malformed `ws:` word gives no right; as an extra word it makes the token specialised, and so
    /// does what cannot be understood of a narrowed one.
    #[must_use]
    pub fn parse(claim: &str) -> Self {
        let mut scope = Self { extra_scopes: Some(Vec::new()), ..Self::default() };
        for word in claim.split_whitespace() {
            scope.add_word(word);
        }
        scope.read_narrow();
        scope
    }

    fn read_narrow(&mut self) {
        let extra = self.extra_scopes.iter().flatten().map(String::as_str);
        let mut words = extra.filter(|word| word.starts_with(narrow::PREFIX)).peekable();
        if words.peek().is_none() {
            return;
        }
        // rights beside it would be wider than what it says
        let alone = self.workspaces.is_empty() && self.current_workspace.is_none();
        match Narrow::read(words).filter(|_| alone) {
            Some(narrow) => {
                let (client_id, extra_scopes) = (self.client_id.take(), self.extra_scopes.take());
                *self = Self { client_id, extra_scopes, ..Self::narrowed(narrow) };
            }
            None => self.workspaces.clear(),
        }
    }

    fn add_word(&mut self, word: &str) {
        let right = word.strip_prefix("ws:").and_then(|rest| rest.rsplit_once('#'));
        let right = right.and_then(|(name, letter)| Some((unescape(name), Permission::from_letter(letter)?)));
        if let Some((name, right)) = right.filter(|(name, _)| !name.is_empty()) {
            self.allow(&name, right);
        } else if let Some(client) = word.strip_prefix("cid:") {
            self.client_id = Some(unescape(client));
        } else if let Some(workspace) = word.strip_prefix("wid:") {
            self.current_workspace = Some(unescape(workspace));
        } else {
            self.extra_scopes.get_or_insert_default().push(word.to_owned());
        }
    }

    /// Writes the claim: the words `ws:`, then `cid:`, then `wid:`, then the others.
    ///
    /// White space inside a name is escaped, as a client named `x ws:other#a` would otherwise grant itself a right.
    #[must_use]
    pub fn claim(&self) -> String {
        if let Some(narrow) = &self.narrow {
            return self.narrowed_claim(narrow);
        }
        let rights = self.workspaces.iter().filter(|(_, right)| *right > Permission::None);
        let mut words: Vec<String> =
            rights.map(|(name, right)| format!("ws:{}#{}", escape(name), right.letter())).collect();
        words.extend(self.client_id.iter().map(|client| format!("cid:{}", escape(client))));
        words.extend(self.current_workspace.iter().map(|workspace| format!("wid:{}", escape(workspace))));
        words.extend(self.extra_scopes.iter().flatten().map(|word| escape(word).into_owned()));
        words.join(" ")
    }

    /// Words that others would take for a right do not stand in it.
    fn narrowed_claim(&self, narrow: &Narrow) -> String {
        let client = self.client_id.iter().map(|client| format!("cid:{}", escape(client)));
        let extra = self.extra_scopes.iter().flatten().filter(|word| !word.starts_with(narrow::PREFIX));
        let extra = extra.map(|word| escape(word).into_owned());
        narrow.words().chain(client).chain(extra).collect::<Vec<_>>().join(" ")
    }
}

/// `%XX` for what would end the word, and for `%` itself.
pub(super) fn escape(name: &str) -> Cow<'_, str> {
    let unsafe_in_claim = |c: char| c.is_whitespace() || c == '%';
    if !name.contains(unsafe_in_claim) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if unsafe_in_claim(c) {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The reverse; a `%` that begins no escape stays as it is, since other servers do not escape at all.
pub(super) fn unescape(word: &str) -> String {
    let bytes = word.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        match digits.and_then(hex_byte) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| word.to_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits
        .iter()
        .try_fold(0, |byte, digit| Some(byte * 16 + value(*digit)?))
        .and_then(|byte| u8::try_from(byte).ok())
}

struct Rights<'a>(&'a [(String, Permission)]);

impl Serialize for Rights<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, right) in self.0 {
            map.serialize_entry(name, right.letter())?;
        }
        map.end()
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Scope", 4)?;
        map.serialize_field("current_workspace", &self.current_workspace)?;
        map.serialize_field("workspaces", &Rights(&self.workspaces))?;
        map.serialize_field("client_id", &self.client_id)?;
        map.serialize_field("extra_scopes", &self.extra_scopes)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_ordered() {
        assert!(Permission::None < Permission::Read);
        assert!(Permission::Read < Permission::ReadWrite);
        assert!(Permission::ReadWrite < Permission::Admin);
    }

    #[test]
    fn a_claim_is_read_and_written() {
        let claim = "ws:lab#rw ws:*#r cid:only-me wid:lab file:x plain";
        let scope = Scope::parse(claim);
        assert_eq!(scope.permission("lab"), Permission::ReadWrite);
        assert_eq!(scope.permission("elsewhere"), Permission::Read);
        assert_eq!(scope.client_id.as_deref(), Some("only-me"));
        assert_eq!(scope.current_workspace.as_deref(), Some("lab"));
        assert_eq!(scope.special(), ["file:x"]);
        assert_eq!(scope.claim(), claim);
    }

    #[test]
    fn the_stronger_of_two_rights_counts() {
        assert_eq!(Scope::parse("ws:lab#r ws:*#a").permission("lab"), Permission::Admin);
        assert_eq!(Scope::parse("ws:lab#a ws:lab#r").permission("lab"), Permission::Admin);
        assert_eq!(Scope::parse("").permission("lab"), Permission::None);
    }

    #[test]
    fn a_malformed_right_makes_a_token_specialised() {
        for word in ["ws:lab", "ws:lab#x", "ws:#a", "ws:lab#"] {
            let scope = Scope::parse(word);
            assert!(scope.workspaces.is_empty(), "{word}");
            assert_eq!(scope.special(), [word]);
        }
    }

    #[test]
    fn a_name_cannot_smuggle_a_right() {
        let scope = Scope { client_id: Some("x ws:other#a\u{2003}50%".to_owned()), ..Scope::owner_of("lab") };
        let read = Scope::parse(&scope.claim());
        assert_eq!(read.permission("other"), Permission::None);
        assert_eq!(read.client_id, scope.client_id);
        assert_eq!(Scope::parse("cid:50%").client_id.as_deref(), Some("50%"));
    }
}
