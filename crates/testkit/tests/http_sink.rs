//! The sink keeps what it is sent and answers as told.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{Answer, HttpSink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn post(sink: &HttpSink, target: &str, body: &str) -> Result<String> {
    let url = sink.url();
    let address = url.strip_prefix("http://").context("not HTTP")?;
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request =
        format!("POST {target} HTTP/1.0\r\nX-Test: yes\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn requests_are_kept_with_their_bodies() -> Result<()> {
    let sink = HttpSink::start()?;
    assert!(
        post(&sink, "/hook?x=1", r#"{"a":1}"#)
            .await?
            .starts_with("HTTP/1.0 200")
    );
    let requests = sink.wait_for(1, Duration::from_secs(5)).await?;
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].target, "/hook?x=1");
    assert_eq!(requests[0].header("x-test"), Some("yes"));
    assert_eq!(requests[0].json::<Value>()?, json!({"a": 1}));
    assert!(sink.wait_for(2, Duration::from_millis(50)).await.is_err());
    Ok(())
}

#[tokio::test]
async fn queued_answers_come_before_the_standing_one() -> Result<()> {
    let sink = HttpSink::start()?;
    sink.answer(Answer::status(503));
    sink.answer_once(Answer::body("hello").header("X-Sink", "1"));
    let first = post(&sink, "/", "").await?;
    assert!(
        first.starts_with("HTTP/1.0 200") && first.ends_with("hello"),
        "{first}"
    );
    assert!(first.contains("x-sink: 1"), "{first}");
    assert!(post(&sink, "/", "").await?.starts_with("HTTP/1.0 503"));
    sink.refuse(true);
    assert!(
        !post(&sink, "/", "")
            .await
            .unwrap_or_default()
            .starts_with("HTTP")
    );
    assert_eq!(sink.requests().len(), 2);
    Ok(())
}
