//! Where the database of a server is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the database of a server is.
///
/// # Examples
/// ```
/// use std::path::PathBuf;
/// use polyfn_server::config::Place;
/// assert_eq!("sqlite::memory:".parse(), Ok(Place::Memory));
/// assert_eq!("sqlite:///var/lib/polyfn.db".parse(), Ok(Place::File(PathBuf::from("/var/lib/polyfn.db"))));
/// assert!("mysql://localhost/x".parse::<Place>().is_err());
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// In memory: gone with the server.
    #[default]
    Memory,
    /// A file of SQLite, made when it is not there.
    File(PathBuf),
    /// A PostgreSQL database by its URL.
    Postgres(String),
}

/// Without the password that may stand in a URL.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(***)"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    /// Reads `sqlite::memory:`, `sqlite:///path`, `sqlite://relative/path` or `postgresql://user@host/database`, with
    /// the driver's name that SQLAlchemy has in it (`sqlite+aiosqlite`) or without.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let path = rest.strip_prefix("//").unwrap_or(rest);
        match scheme.split('+').next().unwrap_or_default() {
            "sqlite" if path.is_empty() || path == ":memory:" || path == "/:memory:" => Ok(Self::Memory),
            // SQLAlchemy writes an absolute path with four slashes
            "sqlite" if path.starts_with("//") => Ok(Self::File(PathBuf::from(&path[1..]))),
            "sqlite" => Ok(Self::File(PathBuf::from(path))),
            "postgres" | "postgresql" if !path.is_empty() => {
                Ok(Self::Postgres(format!("postgresql://{path}")))
            }
            _ => Err("expected sqlite:///path/to/file.db, sqlite::memory: or \
                      postgresql://user:password@host/database"
                .to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_both_worlds_write_them() {
        let file = |path: &str| Ok(Place::File(PathBuf::from(path)));
        for (text, place) in [
            ("sqlite:///a/b.db", file("/a/b.db")),
            ("sqlite+aiosqlite:////a/b.db", file("/a/b.db")),
            ("sqlite://b.db", file("b.db")),
            ("sqlite:b.db", file("b.db")),
            ("sqlite://", Ok(Place::Memory)),
            ("sqlite:///:memory:", Ok(Place::Memory)),
            ("postgresql+asyncpg://me@h/d", Ok(Place::Postgres("postgresql://me@h/d".to_owned()))),
        ] {
            assert_eq!(text.parse(), place, "{text}");
        }
        for text in ["", "b.db", "redis://h", "postgresql:", "C:\\b.db"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn passwords_stay_out_of_debug_output() {
        let place: Place = "postgresql://me:hush@h/d".parse().unwrap();
        assert!(!format!("{place:?}").contains("hush"));
    }
}
