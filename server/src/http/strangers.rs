//! Users of HTTP requests without a token, as functions are told of them.
//!
//! They differ in nothing but their names, which are all of one length: so they are encoded once, and a name is put into
//! the places where it stands.

use bytes::Bytes;

use crate::auth::UserInfo;
use crate::hub::encode_user;

/// The form that all of them have.
#[derive(Debug)]
pub(crate) struct Strangers {
    encoded: Vec<u8>,
    /// Where the name stands.
    places: Vec<usize>,
    length: usize,
}

impl Strangers {
    pub(crate) fn new() -> Self {
        let user = UserInfo::anonymous_http();
        let (encoded, name) = (encode_user(&user).to_vec(), user.id.as_bytes());
        let places = (0..encoded.len()).filter(|at| encoded[*at..].starts_with(name)).collect();
        Self { places, length: name.len(), encoded }
    }

    /// The stranger of this name, encoded.
    pub(super) fn encode(&self, name: &str) -> Bytes {
        let mut encoded = self.encoded.clone();
        for at in &self.places {
            encoded[*at..*at + self.length].copy_from_slice(name.as_bytes());
        }
        encoded.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_what_it_would_be_by_itself() {
        let strangers = Strangers::new();
        let users = [UserInfo::anonymous_http(), UserInfo::anonymous_http()];
        for user in &users {
            assert_eq!(strangers.encode(&user.id), encode_user(user));
        }
        assert_ne!(strangers.encode(&users[0].id), strangers.encode(&users[1].id));
    }
}
