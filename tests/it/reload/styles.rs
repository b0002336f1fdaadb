//! The ways in which editors and tools save a file. Each works in a directory of which `moonwa.toml` is the
//! configuration; what becomes of a save is for the tests that use them.

use std::fs::{self, read_link, remove_dir_all, remove_file, rename};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Writes that text into the configuration of that directory.
type Step = fn(&Path, &str) -> io::Result<()>;

/// A way to save.
pub(crate) struct Style {
    /// What it is called in a failure.
    pub(crate) name: &'static str,
    /// Puts the first text into place, over what was there.
    pub(crate) lay: Step,
    /// Saves another text. The length of each is another: some ways need a name for it.
    pub(crate) save: Step,
}

/// All of them but those that no event tells of.
pub(crate) const STYLES: [Style; 10] = [
    Style { name: "in place", lay: in_place, save: in_place },
    Style { name: "truncated, then piece by piece", lay: in_place, save: in_pieces },
    Style { name: "renamed into place", lay: in_place, save: renamed },
    Style { name: "vim, backupcopy=yes", lay: in_place, save: vim_copying },
    Style { name: "vim, backupcopy=no", lay: in_place, save: vim_renaming },
    Style { name: "sed -i", lay: in_place, save: sed },
    Style { name: "deleted and created", lay: in_place, save: created },
    Style { name: "a symlink pointed elsewhere", lay: pointed, save: pointed },
    Style { name: "the file behind a symlink", lay: behind, save: behind },
    Style { name: "the ..data of Kubernetes", lay: data, save: data },
];

fn in_place(dir: &Path, text: &str) -> io::Result<()> {
    fs::write(dir.join("moonwa.toml"), text)
}

fn in_pieces(dir: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create(dir.join("moonwa.toml"))?;
    text.bytes().try_for_each(|byte| file.write_all(&[byte]))
}

fn renamed(dir: &Path, text: &str) -> io::Result<()> {
    fs::write(dir.join("new"), text)?;
    rename(dir.join("new"), dir.join("moonwa.toml"))
}

fn vim_copying(dir: &Path, text: &str) -> io::Result<()> {
    fs::copy(dir.join("moonwa.toml"), dir.join("moonwa.toml~"))?;
    in_place(dir, text)?;
    remove_file(dir.join("moonwa.toml~"))
}

fn vim_renaming(dir: &Path, text: &str) -> io::Result<()> {
    fs::write(dir.join("4913"), "")?;
    remove_file(dir.join("4913"))?;
    rename(dir.join("moonwa.toml"), dir.join("moonwa.toml~"))?;
    in_place(dir, text)?;
    remove_file(dir.join("moonwa.toml~"))
}

fn sed(dir: &Path, text: &str) -> io::Result<()> {
    let label = text.lines().find(|line| line.starts_with("label")).unwrap_or_default();
    let script = format!("s/^label.*/{label}/");
    let status = Command::new("sed").args(["-i", &script]).arg(dir.join("moonwa.toml")).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("sed failed")) }
}

fn created(dir: &Path, text: &str) -> io::Result<()> {
    remove_file(dir.join("moonwa.toml"))?;
    in_place(dir, text)
}

fn pointed(dir: &Path, text: &str) -> io::Result<()> {
    let name = format!("store/{}", text.len());
    fs::create_dir_all(dir.join("store"))?;
    fs::write(dir.join(&name), text)?;
    link(dir, &name)
}

fn behind(dir: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(dir.join("git"))?;
    fs::write(dir.join("git/new"), text)?;
    rename(dir.join("git/new"), dir.join("git/real.toml"))?;
    if dir.join("moonwa.toml").is_symlink() { Ok(()) } else { link(dir, "git/real.toml") }
}

fn data(dir: &Path, text: &str) -> io::Result<()> {
    let name = format!("..{}", text.len());
    fs::create_dir(dir.join(&name))?;
    fs::write(dir.join(&name).join("moonwa.toml"), text)?;
    let old = read_link(dir.join("..data"));
    symlink(&name, dir.join("..data_tmp"))?;
    rename(dir.join("..data_tmp"), dir.join("..data"))?;
    match old {
        Ok(old) => remove_dir_all(dir.join(old)),
        Err(_none) => link(dir, "..data/moonwa.toml"),
    }
}

/// Makes `moonwa.toml` a symlink, whatever it was.
pub(crate) fn link(dir: &Path, target: &str) -> io::Result<()> {
    symlink(target, dir.join("new"))?;
    rename(dir.join("new"), dir.join("moonwa.toml"))
}
