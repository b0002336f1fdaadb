//! Puts the files of web/ into the binary as they go over the wire: without what is for those who edit them, and
//! compressed as small as Brotli and gzip get, which takes too long to do for a request.
#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::io::{self, BufWriter};
use std::path::Path;
use std::{env, fs};

use brotli::enc::BrotliEncoderParams;
use zopfli::{Format, Options};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=web");
    let output = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names OUT_DIR"))?;
    let output = Path::new(&output).join("web");
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
    pack(Path::new("web"), &output)
}

fn pack(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            pack(&path, &to)?;
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let text = match path.extension().and_then(|kind| kind.to_str()) {
            Some("js" | "css") => without_comments(&text),
            Some("json") => without_white_space(&text),
            _ => text,
        };
        let mut name = to.clone().into_os_string();
        name.push(".br");
        let mut file = BufWriter::new(fs::File::create(name)?);
        brotli::BrotliCompress(&mut text.as_bytes(), &mut file, &BrotliEncoderParams::default())?;
        let file = BufWriter::new(fs::File::create(to)?);
        zopfli::compress(Options::default(), Format::Gzip, text.as_bytes(), file)?;
    }
    Ok(())
}

/// Without indentation, and comments that begin a line are emptied. Their lines stay, so that what a browser says of a
/// line is true of the file. No text of the page's scripts runs over several lines, so a line never begins within one.
fn without_comments(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut within = false;
    for line in text.lines() {
        let line = line.trim_start();
        within |= line.starts_with("/*");
        output.push_str(match line.split_once("*/") {
            _ if line.starts_with("//") && !within => "",
            Some((_comment, rest)) if within => {
                within = false;
                rest.trim_start()
            }
            _ if within => "",
            _ => line,
        });
        output.push('\n');
    }
    output
}

/// JSON as it was, without the white space around its texts.
fn without_white_space(json: &str) -> String {
    let (mut within, mut escaped) = (false, false);
    let kept = json.chars().filter(|character| {
        if !escaped && *character == '"' {
            within = !within;
        }
        escaped = !escaped && *character == '\\';
        within || !character.is_ascii_whitespace()
    });
    kept.collect()
}
