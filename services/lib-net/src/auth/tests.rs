//! The wire form of questions and answers; `services/auth` tests client and server together.

use super::*;

fn request() -> Request {
    let (user, password) = ("minji".into(), "p\"ä\\ \u{1}".into());
    Request { id: 3, user, password, service: Service::Smtp, address: "2001:db8::1".parse().unwrap() }
}

#[test]
fn the_wire_form_of_a_question() {
    let line = serde_json::to_string(&request()).unwrap();
    let want = r#"{"id":3,"user":"minji","password":"p\"ä\\ \u0001","service":"smtp","address":"2001:db8::1"}"#;
    assert_eq!(line, want);
    assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request());
}

#[test]
fn the_wire_form_of_an_answer() {
    for (verdict, line) in [
        (Verdict::Verified { account: "minji@example.kr".into() }, r#"{"id":7,"ok":true,"account":"minji@example.kr"}"#),
        (Verdict::Refused, r#"{"id":7,"ok":false}"#),
        (Verdict::Forbidden, r#"{"id":7,"ok":false,"forbidden":true}"#),
        (Verdict::Unavailable, r#"{"id":7,"ok":false,"temporary":true}"#),
    ] {
        assert_eq!(serde_json::to_string(&Response::new(7, verdict.clone())).unwrap(), line);
        assert_eq!(serde_json::from_str::<Response>(line).unwrap().verdict(), verdict);
    }
}

#[test]
fn an_answer_that_contradicts_itself_says_nothing() {
    for line in [
        r#"{"id":7,"ok":true}"#,
        r#"{"id":7,"ok":true,"account":"a@b","temporary":true}"#,
        r#"{"id":7,"ok":true,"account":"a@b","forbidden":true}"#,
        r#"{"id":7,"ok":false,"account":"a@b"}"#,
        r#"{"id":7,"ok":false,"temporary":true,"forbidden":true}"#,
    ] {
        assert_eq!(serde_json::from_str::<Response>(line).unwrap().verdict(), Verdict::Unavailable, "{line}");
    }
}

#[test]
fn a_password_shows_nowhere() {
    let Request { user, service, address, .. } = request();
    let login = Login { user, password: "hunter2".into(), service, address };
    let request = Request { password: "hunter2".into(), ..request() };
    assert!(!format!("{login:?} {request:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_line_has_a_limit() {
    let long = [vec![b'x'; MAX_LINE - 1], b"\n".to_vec()].concat();
    for (octets, fits) in
        [(&long[..], true), (&long[..long.len() - 1], false), (&[&b"x"[..], &long].concat(), false), (b"", false)]
    {
        let mut line = Vec::new();
        assert_eq!(read_line(&mut &octets[..], &mut line).await, fits, "{}", octets.len());
    }
}
