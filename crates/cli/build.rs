//! How the command is linked, and the manifests that it installs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folders of `config/` that are compiled in.
const FOLDERS: [&str; 10] = [
    "components/lockdown",
    "crd",
    "default",
    "helm",
    "image-automation",
    "image-reflector",
    "kustomize",
    "notification",
    "policies",
    "source",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    manifests()?;
    link();
    Ok(())
}

/// Lists the manifests: path and content.
fn manifests() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let root = root.canonicalize()?;
    let mut found = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut found)?;
    }
    let mut code = String::from(
        "/// The shipped manifests: path below `config/`, content.\nconst MANIFESTS: &[(&str, &[u8])] = &[\n",
    );
    for path in found {
        let name = path.strip_prefix(&root).map_err(io::Error::other)?;
        let (name, path) = (name.display().to_string(), path.display().to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(code, "    ({name:?}, include_bytes!({path:?})),");
    }
    code += "];\n";
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("manifests.rs"), code)
}

/// The YAML files of a folder, by name.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
    Ok(())
}

fn link() {
    // At a fixed address nothing has to be relocated when the process starts: a third of the time
    // that building a small kustomization takes. What is given up is the random place of the code,
    // which makes memory errors harder to use: there is no unsafe code of ours, and no server in it.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
        let is_static = features.split(',').any(|feature| feature == "crt-static");
        if is_static {
            // Takes the place of `-static-pie`, which rustc asks for.
            println!("cargo::rustc-link-arg-bin=lockgate=-static");
        }
        println!("cargo::rustc-link-arg-bin=lockgate=-no-pie");
    }
}
