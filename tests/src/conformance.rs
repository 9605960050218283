//! The requirements of WHIP (RFC 9725) and WHEP put to the real server: `docs/whip.md` and `docs/whep.md` list them, each
//! with its test.

mod access;
mod ice;
mod session;
mod watch;

use std::collections::BTreeSet;

use anyhow::Context;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Method};

use crate::rig::root;
use crate::rig::server::Server;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// What a browser offers: Opus, H.264 and a data channel, bundled.
const OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
    a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendonly\r\na=msid:- d46fb922\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n\
    a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 102 103\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
    a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n\
    a=setup:actpass\r\na=mid:1\r\na=sendonly\r\na=msid:- 43fd08ab\r\na=rtcp-mux\r\na=rtcp-mux-only\r\na=bundle-only\r\n\
    a=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\na=rtcp-fb:102 transport-cc\r\n\
    a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
    a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:EsAw\r\n\
    a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
    a=fingerprint:sha-256 49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E\r\n\
    a=setup:actpass\r\na=mid:2\r\na=bundle-only\r\na=sctp-port:5000\r\n";

/// A server, and a client that speaks plain HTTP to it.
struct House {
    server: Server,
    client: Client,
}

/// An answer, whole.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// A header's value; of several the first, of none an empty one.
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.transpose().expect("text").unwrap_or_default()
    }

    /// A refusal of this status, that says what to do as RFC 9457 has it.
    fn refuses(&self, status: u16) -> &Answer {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(document["status"], status);
        assert!(
            document["detail"].as_str().is_some_and(|detail| detail.len() > 20),
            "{document}"
        );
        self
    }
}

impl House {
    fn open(arguments: &[&str]) -> House {
        // Sessions of these tests never connect, and must outlive a slow machine.
        let patient = [&["--limits-connect-s", "120"], arguments].concat();
        let server = Server::start(&patient).expect("a server");
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        House { server, client }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let url = format!("{}{}", self.server.page.trim_end_matches('/'), path);
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(HeaderName::from_bytes(name.as_bytes()).expect("a name"), *value);
        }
        let answer = async {
            let answer = request.send().await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.text().await?;
            Ok::<_, reqwest::Error>(Answer { status, headers, body })
        };
        answer.await.context("no answer").expect("an answer")
    }

    async fn post(&self, stream: &str, offer: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("content-type", SDP)], headers].concat();
        self.ask("POST", &format!("/whip/{stream}"), &headers, offer).await
    }

    /// A new session: its address and its entity tag.
    async fn session(&self, stream: &str, headers: &[(&str, &str)]) -> (String, String) {
        let created = self.post(stream, OFFER, headers).await;
        assert_eq!(created.status, 201, "{}", created.body);
        (created.header("location").to_owned(), created.header("etag").to_owned())
    }

    async fn patch(&self, session: &str, condition: Option<&str>, fragment: &str) -> Answer {
        let mut headers = vec![("content-type", FRAGMENT)];
        headers.extend(condition.map(|condition| ("if-match", condition)));
        self.ask("PATCH", session, &headers, fragment).await
    }
}

/// The names in backticks of the table's last column.
fn named_tests(document: &str) -> Vec<String> {
    let rows = document
        .lines()
        .filter(|line| line.starts_with("| 4.") || line.starts_with("| 5 ") || line.starts_with("| RFC"));
    let last = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names = last.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_table_names_exists_and_every_test_here_is_in_it() {
    let tables = ["docs/whip.md", "docs/whep.md"].map(|path| {
        let text = std::fs::read_to_string(root().join(path)).expect("the table");
        named_tests(&text)
    });
    assert!(tables[0].len() > 30 && tables[1].len() > 12, "{tables:?}");
    let named = tables.concat();
    let mut functions = BTreeSet::new();
    let mut ours = BTreeSet::new();
    let mut folders = vec![root().join("apps/hearsight/src"), root().join("tests/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                // Only what follows a test's attribute counts.
                let tests = text.split("test]\n").skip(1).filter_map(|rest| {
                    let name = rest.trim_start().trim_start_matches("async ").strip_prefix("fn ")?;
                    Some(name.split('(').next()?.to_owned())
                });
                let tests: Vec<String> = tests.collect();
                if path.parent().is_some_and(|folder| folder.ends_with("conformance")) {
                    ours.extend(tests.iter().cloned());
                }
                functions.extend(tests);
            }
        }
    }
    let missing: Vec<_> = named.iter().filter(|name| !functions.contains(*name)).collect();
    assert!(
        missing.is_empty(),
        "the documents name tests that are not there: {missing:?}"
    );
    let unnamed: Vec<_> = ours.iter().filter(|name| !named.contains(name)).collect();
    assert!(unnamed.is_empty(), "the documents do not name {unnamed:?}");
}
