//! Section 4.3: PATCH, trickled candidates and ICE restarts.

use super::{FRAGMENT, House, SDP};

const CANDIDATES: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
    a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
    a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw\r\n\
    a=candidate:2154773085 1 udp 1518214911 8f3a2c.local 61765 typ host generation 0 ufrag EsAw\r\n\
    a=end-of-candidates\r\n";

fn restart(ufrag: &str) -> String {
    format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789abcdefghijkl\r\n")
}

#[tokio::test]
async fn candidates_are_taken_under_the_right_entity_tag_alone() {
    let house = House::open(&[]);
    let (session, tag) = house.session("me", &[]).await;
    house.patch(&session, None, CANDIDATES).await.refuses(428);
    house.patch(&session, Some("\"stale\""), CANDIDATES).await.refuses(412);
    house
        .patch(&session, Some(&format!("W/{tag}")), CANDIDATES)
        .await
        .refuses(412);
    let after_media: Vec<&str> = CANDIDATES.lines().collect();
    let after_media = [&after_media[2..4], &after_media[..2], &after_media[4..]]
        .concat()
        .join("\r\n");
    let alone = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    for condition in [&tag, "*", "\"*\"", &format!("\"other\", {tag}")] {
        for fragment in [CANDIDATES, &after_media, alone] {
            let taken = house.patch(&session, Some(condition), fragment).await;
            assert_eq!((taken.status, taken.body.as_str()), (204, ""), "{condition}");
            assert!(!taken.headers.contains_key("etag"), "a trickle has no entity tag");
        }
    }
}

#[tokio::test]
async fn a_fragment_of_another_type_or_form_is_refused_and_the_session_goes_on() {
    let house = House::open(&[]);
    let (session, tag) = house.session("me", &[]).await;
    let other = house
        .ask(
            "PATCH",
            &session,
            &[("content-type", SDP), ("if-match", &tag)],
            CANDIDATES,
        )
        .await;
    assert_eq!(other.refuses(415).header("accept-patch"), FRAGMENT);
    let malformed = [
        "",
        "hello",
        "a=ice-ufrag:only",
        "a=candidate:1 1 udp one 192.0.2.1 9 typ host",
        "a=ice-ufrag:new1\r\na=ice-pwd:short",
    ];
    for fragment in malformed {
        house.patch(&session, Some(&tag), fragment).await.refuses(400);
    }
    house
        .patch(&session, Some(&tag), &"a=mid:0\r\n".repeat(3_000))
        .await
        .refuses(413);
    house
        .patch("/whip/me/00112233445566778899aabbccddeeff", Some("*"), CANDIDATES)
        .await
        .refuses(404);
    assert_eq!(house.patch(&session, Some(&tag), CANDIDATES).await.status, 204);
}

#[tokio::test]
async fn ice_restarts_give_new_credentials_one_candidate_and_a_new_entity_tag() {
    let house = House::open(&[]);
    let (session, first) = house.session("me", &[]).await;
    let mut tags = vec![first.clone()];
    for (ufrag, condition) in [
        ("two2", "*".to_owned()),
        ("three", "\"*\"".to_owned()),
        ("four", String::new()),
    ] {
        let last = tags.last().unwrap().clone();
        let condition = if condition.is_empty() { &last } else { &condition };
        let begun = house.patch(&session, Some(condition), &restart(ufrag)).await;
        assert_eq!(
            (begun.status, begun.header("content-type")),
            (200, FRAGMENT),
            "{}",
            begun.body
        );
        let count = |prefix: &str| begun.body.lines().filter(|line| line.starts_with(prefix)).count();
        let counts = ["a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=ice-lite"].map(count);
        assert_eq!(counts, [1, 1, 1, 1], "{}", begun.body);
        let tag = begun.header("etag").to_owned();
        assert!(tag.starts_with('"') && !tags.contains(&tag));
        house.patch(&session, Some(&last), &restart("late")).await.refuses(412);
        let candidate = format!("{}a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", restart(ufrag));
        for condition in [tag.as_str(), "*"] {
            assert_eq!(house.patch(&session, Some(condition), &candidate).await.status, 204);
        }
        tags.push(tag);
    }
    // What was said before, come late: no new restart, whatever the condition.
    house.patch(&session, Some("*"), &restart("two2")).await.refuses(412);
    house.patch(&session, Some("*"), CANDIDATES).await.refuses(412);
    assert_eq!(house.ask("GET", &session, &[], "").await.status, 204);
    assert_eq!(house.ask("DELETE", &session, &[], "").await.status, 200);
}
