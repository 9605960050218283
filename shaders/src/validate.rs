//! Every kernel's file is looked over without a device: it has its two other parts, its header, and asks for no more of
//! a device than is declared here.

use std::path::{Path, PathBuf};

use crate::maker::Precision;
use wgpu::naga::front::wgsl;
use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};

/// What kernels may ask for beyond the core of WGSL: nothing; only the variants of the network that are made for floats of
/// 16 bits ask for these.
const DECLARED: Capabilities = Capabilities::empty();

fn kernels() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            !path.join("mod.rs").exists(),
            "{}: kernels lie in src itself",
            path.display()
        );
        if path.extension().is_some_and(|extension| extension == "wgsl") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "no kernels in {}", folder.display());
    found
}

fn validate(text: &str) -> Result<(), String> {
    validate_with(text, DECLARED)
}

fn validate_with(text: &str, allowed: Capabilities) -> Result<(), String> {
    let module = wgsl::parse_str(text).map_err(|problem| problem.emit_to_string(text))?;
    Validator::new(ValidationFlags::all(), allowed)
        .validate(&module)
        .map(drop)
        .map_err(|problem| problem.emit_to_string(text))
}

#[test]
fn every_kernel_is_valid_with_no_optional_capability() {
    for (path, text) in kernels() {
        if let Err(problem) = validate(&text) {
            panic!("{}: {problem}", path.display());
        }
    }
}

/// What a device that has floats of 16 bits is given is made of the same texts.
#[test]
fn every_variant_of_the_network_is_valid() {
    for name in ["conv", "features", "residual", "roof"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(format!("{name}.wgsl"));
        let text = std::fs::read_to_string(&path).unwrap();
        let halves = Precision::F16.source(&text);
        let refused = validate(&halves).is_err();
        assert!(refused, "{name}: half the precision must be asked for");
        let with_halves = Capabilities::SHADER_FLOAT16;
        assert_eq!(validate_with(&halves, with_halves), Ok(()), "{name} in halves");
    }
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/features.wgsl")).unwrap();
    assert_eq!(validate(&Precision::Int8.source(&text)), Ok(()));
}

#[test]
fn every_kernel_has_its_code_its_reference_and_its_header() {
    for (path, text) in kernels() {
        let code = std::fs::read_to_string(path.with_extension("rs"));
        let code = code.unwrap_or_else(|problem| panic!("{}: no code beside it: {problem}", path.display()));
        assert!(
            code.contains("pub fn reference("),
            "{}: no reference beside it",
            path.display()
        );
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//")).collect();
        for part in ["// Inputs: ", "// Outputs: ", "// Spaces: ", "// Cost: "] {
            let said = header.iter().any(|line| line.starts_with(part));
            assert!(said, "{}: the header does not say {part}", path.display());
        }
    }
}

#[test]
fn an_optional_capability_is_refused() {
    let double = "@compute @workgroup_size(1) fn main() { let one: f64 = 1.0lf; _ = one; }";
    assert!(validate(double).is_err());
    let plain = "@compute @workgroup_size(1) fn main() { let one: f32 = 1.0; _ = one; }";
    assert_eq!(validate(plain), Ok(()));
}
