//! `cargo xtask images`: container images of the controllers, made without a container engine.
//!
//! Each is an OCI image layout below `target/images`: one static program, the CA certificates of this machine, a user
//! without rights, an empty `/tmp` and `/data`. The same tree and toolchain give the same bytes: no time but that of the
//! commit goes in. An SPDX bill of materials and an in-toto provenance statement refer to each image.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::repository;

mod bill;
mod check;
mod layout;
mod libraries;
mod root_fs;

use layout::{Layout, Referrer};

/// The programs that are shipped, and the packages that they are of.
const PROGRAMS: [(&str, &str); 6] = [
    ("source-controller", "source-controller"),
    ("kustomize-controller", "kustomize-controller"),
    ("helm-controller", "helm-controller"),
    ("notification-controller", "notification-controller"),
    ("image-reflector-controller", "image-automation"),
    ("image-automation-controller", "image-automation"),
];

/// No image may be larger, compressed, in bytes.
const IMAGE_LIMIT: u64 = 30_000_000;
/// All programs together may not be larger, in bytes.
const PROGRAMS_LIMIT: u64 = 100 * 1024 * 1024;

/// Builds the images of all controllers into `target/images`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The programs' target triple. Another than this machine's needs its linker and C compiler installed.
    #[arg(long, default_value = "x86_64-unknown-linux-gnu")]
    target: String,
    /// Where the programs are, static as this task builds them; built from this tree where it is not given.
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// Takes programs that need libraries of this machine, and puts those into the images: to try them, not to ship. Any
    /// size will do.
    #[arg(long, requires = "bin_dir", conflicts_with = "check")]
    with_libraries: bool,
    /// Also starts each image from an otherwise empty root and puts all of them into a registry that is started here.
    #[arg(long)]
    check: bool,
}

/// An image that was built.
struct Image {
    name: &'static str,
    folder: PathBuf,
    root: PathBuf,
    program_bytes: u64,
    layer_bytes: u64,
}

/// What the images are made of.
struct Origin {
    version: String,
    commit: String,
    /// Seconds since 1970, of the commit.
    time: u64,
    architecture: &'static str,
    with_libraries: bool,
}

/// Runs the task.
///
/// # Errors
/// When a program does not build or is not static, or a limit is passed.
#[expect(clippy::print_stdout, reason = "this is what the task is for")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let origin = Origin {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: git(&["rev-parse", "HEAD"])?,
        time: git(&["log", "-1", "--format=%ct"])?
            .parse()
            .context("reading the commit's time")?,
        architecture: architecture(&args.target)?,
        with_libraries: args.with_libraries,
    };
    let programs = if let Some(folder) = &args.bin_dir {
        folder.clone()
    } else {
        let mut packages: Vec<&str> = PROGRAMS.iter().map(|(_, package)| *package).collect();
        packages.dedup();
        build(&args.target, &packages)?
    };
    let out = target_folder().join("images");
    let mut table = String::from("image                          program     compressed\n");
    let mut images = Vec::new();
    for (name, package) in PROGRAMS {
        let image = assemble(name, package, &programs, &out, &origin)?;
        let mib = |bytes: u64| {
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let bytes = bytes as f64;
            bytes / 1024.0 / 1024.0
        };
        writeln!(
            table,
            "{name:<28} {:>6.1} MiB     {:>6.1} MiB",
            mib(image.program_bytes),
            mib(image.layer_bytes)
        )?;
        images.push(image);
    }
    print!("{table}");
    let together: u64 = images.iter().map(|image| image.program_bytes).sum();
    println!("all programs together: {together} bytes");
    println!("images are in {}", out.display());
    if args.with_libraries {
        return Ok(());
    }
    for image in &images {
        ensure!(
            image.layer_bytes <= IMAGE_LIMIT,
            "the image of {} takes {} bytes; at most {IMAGE_LIMIT} are wanted",
            image.name,
            image.layer_bytes
        );
    }
    ensure!(
        together <= PROGRAMS_LIMIT,
        "the programs take {together} bytes together; at most {PROGRAMS_LIMIT} are wanted"
    );
    if args.check {
        check::run(&images)?;
    }
    Ok(())
}

fn assemble(
    name: &'static str,
    package: &str,
    programs: &Path,
    out: &Path,
    origin: &Origin,
) -> Result<Image> {
    let folder = out.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
    }
    let root = folder.join("rootfs");
    let program = programs.join(name);
    root_fs::write(&root, name, &program)?;
    let layout = Layout::new(&folder.join("layout"), origin.time)?;
    let mut contents: Vec<Vec<&Path>> = root_fs::LAYERS
        .iter()
        .map(|paths| paths.iter().map(Path::new).collect())
        .collect();
    let libraries = if origin.with_libraries {
        libraries::copy(&program, &root)?
    } else {
        root_fs::ensure_static(&program)?;
        Vec::new()
    };
    contents
        .extend((!libraries.is_empty()).then(|| libraries.iter().map(PathBuf::as_path).collect()));
    let layers = contents.iter().map(|paths| layout.layer(&root, paths));
    let layers = layers.collect::<Result<Vec<_>>>()?;
    let layer_bytes = layers.iter().map(|layer| layer.blob.size).sum();
    let image = layout.image(name, origin, &layers)?;
    let bill = bill::spdx(name, package, origin)?;
    let bill = layout.referrer(&Referrer {
        subject: &image,
        kind: "application/spdx+json",
        content: &bill,
    })?;
    let statement = bill::provenance(name, &image, origin)?;
    let statement = layout.referrer(&Referrer {
        subject: &image,
        kind: "application/vnd.in-toto+json",
        content: &statement,
    })?;
    layout.index(&origin.version, &image, &[bill, statement])?;
    fs::write(folder.join("Dockerfile"), dockerfile(name)).context("writing a Dockerfile")?;
    Ok(Image {
        name,
        program_bytes: fs::metadata(&program)
            .context("reading a program's size")?
            .len(),
        folder,
        root,
        layer_bytes,
    })
}

/// For those who have a container engine; the tree beside it is what it copies.
fn dockerfile(name: &str) -> String {
    format!(
        "FROM scratch\nCOPY rootfs/ /\nENV SSL_CERT_FILE=/{}\nUSER {user}:{user}\nENTRYPOINT [\"/{}/{name}\"]\n",
        root_fs::CERTIFICATES,
        root_fs::PROGRAMS,
        user = root_fs::USER
    )
}

/// Builds packages' programs, each without a need for a library of the system. Returns their folder.
pub(crate) fn build(target: &str, packages: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--target", target]);
    for package in packages {
        command.args(["-p", package]);
    }
    // glibc 2.34 and newer looks host names up (files, DNS) without loading anything.
    let key = format!(
        "CARGO_TARGET_{}_RUSTFLAGS",
        target.to_uppercase().replace('-', "_")
    );
    let status = command
        .current_dir(repository::root())
        .env(key, flags(target))
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "{} does not build", packages.join(", "));
    Ok(target_folder().join(target).join("release"))
}

/// What the compiler is told besides the profile. A static program finds no `getrandom` to load and would read
/// `/dev/urandom`, which an empty root does not have: it is told to call the one that it is linked with. The linker that rustc
/// brings for x86_64 packs the relocations of a program that runs at any address, and keeps one of several equal functions: an
/// eighth of a program's size. Others' linkers may know neither.
fn flags(target: &str) -> String {
    let mut flags =
        "-Ctarget-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"".to_owned();
    if target == "x86_64-unknown-linux-gnu" {
        flags += " -Clink-arg=-Wl,-z,pack-relative-relocs -Clink-arg=-Wl,--icf=all";
    }
    flags
}

fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository::root().join("target"), PathBuf::from)
}

/// The name of an architecture in images.
fn architecture(target: &str) -> Result<&'static str> {
    match target.split('-').next() {
        Some("x86_64") => Ok("amd64"),
        Some("aarch64") => Ok("arm64"),
        _ => anyhow::bail!("images are made for x86_64 and aarch64, not for {target}"),
    }
}

fn git(args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .current_dir(repository::root())
        .args(args)
        .output()
        .context("running git")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
