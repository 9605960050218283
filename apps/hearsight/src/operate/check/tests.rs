use super::*;
use crate::config;

const DAY: u64 = 24 * 3600;

fn certificate_of(names: &[&str], from: u64, until: u64) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = (UNIX_EPOCH + Duration::from_secs(from)).into();
    params.not_after = (UNIX_EPOCH + Duration::from_secs(until)).into();
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

#[test]
fn a_certificate_is_judged_by_its_dates_and_names() {
    let judged = |names: &[&str], from: u64, until: u64| {
        let pem = certificate_of(names, from * DAY, until * DAY);
        dates_and_names(pem.as_bytes(), Duration::from_secs(100 * DAY)).unwrap()
    };
    let good = judged(&["example.org", "203.0.113.7"], 50, 200);
    assert_eq!(good.state, State::Good, "{good}");
    assert!(
        good.found.contains("example.org, 203.0.113.7") && good.found.contains("100 days"),
        "{good}"
    );
    assert_eq!(judged(&["example.org"], 50, 110).state, State::Doubtful);
    assert!(judged(&["example.org"], 50, 99).found.contains("expired"));
    assert!(judged(&["example.org"], 101, 200).found.contains("not valid yet"));
    assert!(judged(&[], 50, 200).found.contains("names no host"));
    assert!(dates_and_names(b"nonsense", Duration::ZERO).is_err());
}

#[test]
fn damaged_certificates_are_errors_and_never_panics() {
    let pem = certificate_of(&["example.org"], 0, DAY);
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = pem.clone().into_bytes();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.alphanumeric() as u8;
        }
        let _ = dates_and_names(&bytes, Duration::ZERO);
    }
}

#[test]
fn an_address_is_free_in_use_or_not_ours() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let judge = |address: SocketAddr| bound("listen.http", address, TcpListener::bind(address).map(drop));
    assert_eq!(judge(address).state, State::Doubtful);
    drop(held);
    assert_eq!(judge(address).state, State::Good);
    // Documentation addresses (RFC 5737) are nobody's.
    let foreign = judge("203.0.113.7:8080".parse().unwrap());
    assert!(
        foreign.state == State::Bad && foreign.found.contains("no address of this machine"),
        "{foreign}"
    );
}

#[test]
fn a_missing_folder_is_made_later_and_nothing_is_made_now() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = folder.path().join("a/b");
    assert_eq!(writable("listen.state", &wanted).state, State::Good);
    assert!(!wanted.exists() && std::fs::read_dir(folder.path()).unwrap().count() == 0);
}

#[test]
fn every_finding_that_is_not_good_says_what_to_do_and_machines_read_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hearsight.toml");
    std::fs::write(
        &path,
        "[assets]\ndeps = \"/nowhere\"\n[listen]\nhttps = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let args = [
        "hearsight",
        "check",
        "--config",
        path.to_str().unwrap(),
        "--assets-deps",
        "/nowhere",
    ];
    let config = config::load(args).unwrap().config;
    let findings = look(&config);
    for finding in findings.iter().filter(|finding| finding.state != State::Good) {
        let text = finding.to_string();
        assert!(text.contains(';') || text.contains(": "), "{text}");
        assert!(text.len() > 40, "{text}");
    }
    let bad = |check: &str| {
        findings
            .iter()
            .any(|finding| finding.check == check && finding.state == State::Bad)
    };
    assert!(bad("assets.onnxruntime") && bad("assets.pocketsphinx"), "{findings:?}");
    let report = json(&findings, false);
    assert_eq!(report["ok"], false);
    assert_eq!(report["checks"].as_array().unwrap().len(), findings.len());
    assert_eq!(report["checks"][0]["state"], "good");
}
