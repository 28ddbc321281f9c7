//! How a language's object goes onto the wire.

use super::Writer;
use crate::Result;

/// An object that can be walked onto the wire.
///
/// The implementation looks at the object and calls exactly one value method of the [`Writer`]
/// (or opens a list or a map, writes its members, and closes it).
pub trait Walk {
    /// Writes this object.
    ///
    /// # Errors
    /// `invalid` for an object that has no form on the wire, `too_large` past a limit. Errors of members are
    /// given their place with [`crate::Error::at`].
    fn walk(&self, out: &mut Writer) -> Result<()>;
}
