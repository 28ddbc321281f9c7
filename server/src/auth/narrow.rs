//! Narrowed tokens: a right in one workspace, for some services, some methods, so many calls.
//!
//! They are an extension of the scope grammar, made of words that begin with `polyfn:` in the place of `ws:` and `wid:`.
//! Other servers take such words for extra scopes with a colon, by which a token is specialised: they let nobody in
//! with it, and as it has no word `ws:` it gives no right in any workspace. Whatever of these words is not understood
//! here has the same effect here. `docs/tokens.md` has the grammar.

use std::fmt;

use crate::auth::scope::{Permission, escape, unescape};

/// How the words begin.
pub(crate) const PREFIX: &str = "polyfn:";
/// Patterns of each kind.
pub const PATTERNS_MAX: usize = 64;
/// Bytes of a pattern.
pub const PATTERN_MAX: usize = 255;

/// A name in which `*` stands for any characters, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern, if it is one: not empty, not too long, without control characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= PATTERN_MAX && !text.contains(char::is_control);
        good.then(|| Self(text.to_owned()))
    }

    /// Whether `name` fits.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut left) = name.strip_prefix(start) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        // the first place where a part fits leaves most for those behind it
        for part in parts {
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(end)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a narrowed token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrow {
    /// The only workspace.
    pub workspace: String,
    /// The right there.
    pub permission: Permission,
    /// The services, by name or as `client:name`; all when there are none.
    pub services: Vec<Pattern>,
    /// The methods, as their path in the service; all when there are none.
    pub methods: Vec<Pattern>,
    /// How many calls may be made.
    pub max_uses: Option<u32>,
}

impl Narrow {
    /// Reads the words of a scope that begin with [`PREFIX`]; `None` when they say anything that is not understood.
    #[must_use]
    pub fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut place = None;
        let (mut services, mut methods, mut max_uses) = (Vec::new(), Vec::new(), None);
        for word in words {
            let (kind, value) = word.strip_prefix(PREFIX)?.split_once(':')?;
            let value = unescape(value);
            match kind {
                "ws" if place.is_none() => place = Some(read_place(&value)?),
                "svc" if services.len() < PATTERNS_MAX => services.push(Pattern::new(&value)?),
                "fn" if methods.len() < PATTERNS_MAX => methods.push(Pattern::new(&value)?),
                "max" if max_uses.is_none() => {
                    max_uses = Some(value.parse().ok().filter(|uses: &u32| *uses > 0)?);
                }
                _ => return None,
            }
        }
        let (workspace, permission) = place?;
        Some(Self { workspace, permission, services, methods, max_uses })
    }

    /// The words, in one order.
    pub(super) fn words(&self) -> impl Iterator<Item = String> + '_ {
        let word = |kind: &str, value: &str| format!("{PREFIX}{kind}:{}", escape(value));
        let place = format!("{PREFIX}ws:{}#{}", escape(&self.workspace), self.permission.letter());
        [place]
            .into_iter()
            .chain(self.services.iter().map(move |pattern| word("svc", &pattern.0)))
            .chain(self.methods.iter().map(move |pattern| word("fn", &pattern.0)))
            .chain(self.max_uses.iter().map(|uses| format!("{PREFIX}max:{uses}")))
    }

    /// Whether the service `name` that `client` offers in `workspace` is among those it is good for.
    #[must_use]
    pub fn admits_service(&self, workspace: &str, client: &str, name: &str) -> bool {
        let fits = |pattern: &Pattern| match pattern.0.contains(':') {
            true => pattern.fits(&format!("{client}:{name}")),
            false => pattern.fits(name),
        };
        workspace == self.workspace && (self.services.is_empty() || self.services.iter().any(fits))
    }

    /// Whether a method is, by its path in the service: `hello`, `nest.deep.hello`.
    #[must_use]
    pub fn admits_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|pattern| pattern.fits(method))
    }
}

fn read_place(value: &str) -> Option<(String, Permission)> {
    let (workspace, letter) = value.rsplit_once('#')?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || "*#/:@".contains(c);
    let good = !workspace.is_empty() && !workspace.contains(bad);
    good.then_some((workspace.to_owned(), Permission::from_letter(letter)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scope::Scope;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().fits(name)
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in
            [("svc", "svc"), ("*", ""), ("*", "a.b"), ("a-*", "a-"), ("*b*", "abc"), ("a*b*c", "axbbyc")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("svc", "svcx"),
            ("svc", "SVC"),
            ("a-*", "b-a-"),
            ("a*a", "a"),
            ("*ab", "aab "),
            ("a*b*c", "acb"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        assert!(fits(&"*a".repeat(100), &"a".repeat(200)) && !fits(&"*a".repeat(100), &"a".repeat(99)));
        assert!(Pattern::new("").is_none() && Pattern::new(&"x".repeat(256)).is_none());
    }

    #[test]
    fn a_scope_is_read_and_written() {
        let claim = "polyfn:ws:lab-one#rw polyfn:svc:a%20b polyfn:svc:c:pre-* polyfn:fn:get_* polyfn:max:3";
        let scope = Scope::parse(claim);
        let narrow = scope.narrow.as_deref().unwrap();
        assert_eq!(scope.claim(), claim);
        assert_eq!(scope.current_workspace.as_deref(), Some("lab-one"));
        assert_eq!(scope.permission("lab-one"), Permission::ReadWrite);
        assert_eq!(scope.special(), [""; 0]);
        assert_eq!(narrow.max_uses, Some(3));
        for (client, name, expected) in
            [("x", "a b", true), ("x", "ab", false), ("c", "pre-x", true), ("d", "pre-x", false)]
        {
            assert_eq!(narrow.admits_service("lab-one", client, name), expected, "{client}:{name}");
            assert!(!narrow.admits_service("lab-two", client, name));
        }
        assert!(narrow.admits_method("get_it") && !narrow.admits_method("nest.get_it"));
    }

    #[test]
    fn what_is_not_understood_gives_nothing() {
        for claim in [
            "polyfn:svc:a",
            "polyfn:ws:*#r",
            "polyfn:ws:lab-one",
            "polyfn:ws:lab-one#x",
            "polyfn:ws:lab-one#r polyfn:ws:lab-two#r",
            "polyfn:ws:lab-one#r polyfn:max:0",
            "polyfn:ws:lab-one#r polyfn:max:1 polyfn:max:2",
            "polyfn:ws:lab-one#r polyfn:svc:",
            "polyfn:ws:lab-one#r polyfn:later:x",
            "polyfn:ws:lab-one#r polyfn:",
            "polyfn:ws:lab-one#r ws:lab-two#a",
            "polyfn:ws:lab-one#r wid:lab-two",
        ] {
            let scope = Scope::parse(claim);
            assert!(scope.narrow.is_none() && !scope.special().is_empty(), "{claim}");
            assert_eq!(scope.permission("lab-one"), Permission::None, "{claim}");
            assert_eq!(scope.permission("lab-two"), Permission::None, "{claim}");
        }
    }
}
