use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("hearsight-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const NOW: Duration = Duration::from_secs(1_790_000_000);

#[test]
fn a_certificate_is_made_once_and_again_when_it_expires_or_the_names_change() {
    let folder = Folder::new("certificate");
    let (chain, key) = kept(&folder.0, &of(&["localhost", "127.0.0.1"]), NOW).expect("made");
    let first = fs::read(&chain).expect("kept");
    let mode = fs::metadata(&key).expect("kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads the key");
    let read = || fs::read(&chain).expect("kept");

    kept(
        &folder.0,
        &of(&["localhost", "127.0.0.1"]),
        NOW + Duration::from_secs(3600),
    )
    .expect("kept");
    assert_eq!(read(), first, "still good");
    kept(&folder.0, &of(&["localhost"]), NOW).expect("made");
    let second = read();
    assert_ne!(second, first, "other names");
    kept(&folder.0, &of(&["localhost"]), NOW + VALID).expect("made");
    let third = read();
    assert_ne!(third, second, "expired");
    fs::write(&key, "damaged").expect("written");
    kept(&folder.0, &of(&["localhost"]), NOW + VALID).expect("made");
    assert_ne!(read(), third, "damaged");
    configure(&chain, &key).expect("usable");
}

#[test]
fn a_bad_certificate_is_refused_with_the_name_of_the_file() {
    let folder = Folder::new("bad-certificate");
    let (chain, key) = kept(&folder.0, &of(&["localhost"]), NOW).expect("made");
    let missing = folder.0.join("missing.pem");
    let error = configure(&missing, &key).expect_err("missing");
    assert!(error.to_string().contains("missing.pem"));
    let other = Folder::new("other-certificate");
    let (_, strange) = kept(&other.0, &of(&["localhost"]), NOW).expect("made");
    assert!(matches!(
        configure(&chain, &strange),
        Err(CertificateError::Unusable { .. })
    ));
    assert!(matches!(configure(&key, &key), Err(CertificateError::Unusable { .. })));
}

#[test]
fn another_certificate_is_shown_from_now_on_and_a_bad_one_is_not() {
    let (first, second) = (Folder::new("shown-first"), Folder::new("shown-second"));
    let given = |folder: &Folder| {
        let (chain, key) = kept(&folder.0, &of(&["localhost"]), NOW).expect("made");
        Certificate::Given { chain, key }
    };
    let shown = Shown::open(&given(&first), Vec::new()).expect("usable");
    let before = shown.tls().get_inner();
    let fit = shown.prepare(&given(&second)).expect("usable");
    assert!(
        Arc::ptr_eq(&before, &shown.tls().get_inner()),
        "preparing changes nothing"
    );
    shown.show(fit);
    let after = shown.tls().get_inner();
    assert!(!Arc::ptr_eq(&before, &after));
    let mixed = Certificate::Given {
        chain: first.0.join("certificate.pem"),
        key: second.0.join("key.pem"),
    };
    assert!(shown.prepare(&mixed).is_err());
    assert!(Arc::ptr_eq(&after, &shown.tls().get_inner()));
}
