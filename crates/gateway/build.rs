//! Puts the dashboard's files into the binary: everything under `web/dist`, as it was built there, compressed forms
//! beside it. Where nothing was built there, the list is empty and the server says so.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let folder = manifest.join("../../web/dist");
    // The folder is there without a build too: a path that is missing would have this run every time.
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = BTreeMap::new();
    if folder.join("index.html").is_file() {
        collect(&folder, "", &mut files)?;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("dashboard.rs"), list(&files)?)
}

/// The files under `folder` by their addresses.
fn collect(folder: &Path, address: &str, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (path, address) = (entry.path().canonicalize()?, format!("{address}/{name}"));
        if path.is_dir() {
            collect(&path, &address, files)?;
        } else if !name.starts_with('.') {
            files.insert(address, path);
        }
    }
    Ok(())
}

/// The list as Rust.
fn list(files: &BTreeMap<String, PathBuf>) -> io::Result<String> {
    let is_form = |address: &String| {
        [".br", ".gz"].iter().any(|end| address.strip_suffix(end).is_some_and(|of| files.contains_key(of)))
    };
    let mut text = String::from("&[\n");
    for (address, path) in files.iter().filter(|(address, _)| !is_form(address)) {
        let mut hash = DefaultHasher::new();
        fs::read(path)?.hash(&mut hash);
        let form = |end: &str| {
            let found = files.get(&format!("{address}{end}"));
            found.map_or_else(|| "None".to_owned(), |path| format!("Some(include_bytes!({path:?}))"))
        };
        let tag = format!("\"{:016x}\"", hash.finish());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "BuiltFile {{ address: {address:?}, tag: {tag:?}, plain: include_bytes!({path:?}), brotli: {}, gzip: {} }},",
            form(".br"),
            form(".gz"),
        );
    }
    text.push(']');
    Ok(text)
}
