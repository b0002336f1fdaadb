//! Where another gateway keeps its sessions.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a person names: a file or a folder, or a database server's URL, whose password is not shown.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Files(PathBuf),
    /// A folder of moonwa's own with the files that somebody has sent.
    Upload(PathBuf),
    Server(Url),
}

#[derive(Clone)]
pub(crate) struct Url(String);

impl Url {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        write!(f, "{scheme}://{}", host.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_server =
            ["postgres://", "postgresql://"].iter().any(|start| text.starts_with(start));
        Ok(if is_server { Self::Server(Url(text.to_owned())) } else { Self::Files(text.into()) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(path) => path.display().fmt(f),
            Self::Upload(_) => f.write_str("the upload"),
            Self::Server(url) => url.fmt(f),
        }
    }
}

/// How a SQLite file begins.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";

pub(super) fn is_database(file: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(file).and_then(|file| file.take(16).read_to_end(&mut start));
    read.is_ok() && start == SQLITE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_password_is_not_shown() {
        for (given, shown) in [
            (
                "postgres://u:s3cret@db:5432/evolution?sslmode=disable",
                "postgres://db:5432/evolution",
            ),
            ("postgresql://db/x", "postgresql://db/x"),
            ("/var/lib/gowa", "/var/lib/gowa"),
        ] {
            let source: Source = given.parse().unwrap();
            assert_eq!(source.to_string(), shown);
            assert!(!format!("{source:?}").contains("s3cret"));
        }
    }
}
