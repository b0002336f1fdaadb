//! The configuration and the store as a command finds them, and as which user it must be run: what moonwa's user owns, nobody
//! else opens.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::config::{self, Config, SERVICE_STORE};
use crate::private;

/// The configuration, or the last one that worked, and its file.
pub(super) fn configuration(config: Option<&Path>) -> Result<(PathBuf, Config)> {
    let path = config::find(config)?;
    let loaded = Config::load(&path).or_else(|rejected| config::last_good(&path).or(Err(rejected)));
    match loaded {
        Ok(loaded) => Ok((path, loaded.config)),
        Err(rejected) if fs::File::open(&path).is_err() => {
            bail!("{rejected}{}", advice(&path))
        }
        Err(rejected) => Err(rejected.into()),
    }
}

/// Whether this user may open a store: what another user writes there, moonwa could not read.
pub(super) fn own(store: &Path) -> Result<()> {
    if let Ok(Some(owner)) = private::other_owner(store) {
        bail!(
            "{} belongs to user {owner}, who must be able to open what is written there; run: {}",
            store.display(),
            as_user(owner)
        );
    }
    Ok(())
}

/// `; run: sudo -u moonwa moonwa status`, where a file is another user's. Empty where nobody else is known to own it.
pub(super) fn advice(file: &Path) -> String {
    // A folder that may not be entered hides whose the file in it is.
    let owner = |path: &Path| path.ancestors().find_map(|path| fs::metadata(path).ok());
    let me = rustix::process::geteuid().as_raw();
    // What root owns, moonwa's group may read; the store is always moonwa's own.
    let other = [file, Path::new(SERVICE_STORE)]
        .into_iter()
        .filter_map(owner)
        .map(|found| found.uid())
        .find(|owner| *owner != me && *owner != 0);
    other.map_or_else(String::new, |user| format!("; run: {}", as_user(user)))
}

/// This command, as that user has to be told to run it.
fn as_user(user: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(user)).then(|| name.to_owned())
    });
    let mut words = vec![
        "sudo".to_owned(),
        "-u".to_owned(),
        named.unwrap_or_else(|| format!("'#{user}'")),
        "moonwa".to_owned(),
    ];
    words.extend(std::env::args().skip(1).map(|word| quoted(&word)));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:@,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_shell_as_they_are() {
        assert_eq!(quoted("/tmp/saved.json"), "/tmp/saved.json");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn users_go_by_their_names() {
        assert!(as_user(0).starts_with("sudo -u root moonwa"));
        assert!(as_user(4_000_000_000).starts_with("sudo -u '#4000000000' moonwa"));
    }
}
