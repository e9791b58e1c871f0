//! How an error is said.

/// Returns an error with its causes, in one line. Of what the API server answers only the message is told, once: the client
/// shows the whole answer, and as its own cause again.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain() {
        let answer = match cause.downcast_ref() {
            Some(kube::Error::Api(status)) => Some(status.message.trim_end_matches([':', ' '])),
            _ => None,
        };
        let is_last = answer.is_some_and(|message| !message.is_empty());
        let text = match answer {
            Some(message) if is_last => message.to_owned(),
            _ => cause.to_string(),
        };
        // Causes that others wrote often are in the text already.
        if !words.ends_with(&text) {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&text);
        }
        if is_last {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use kube::core::Status;

    use super::*;

    #[test]
    fn causes_follow_one_another_and_none_is_told_twice() {
        let io = std::io::Error::other("disk is full");
        let error = anyhow::Error::new(io).context("writing a: disk is full");
        assert_eq!(
            words(&error.context("no build")),
            "no build: writing a: disk is full"
        );
    }

    #[test]
    fn of_an_answer_of_the_server_its_message_is_told() {
        let answer = |message: &str| {
            let status = Status {
                code: 500,
                message: message.into(),
                ..Status::default()
            };
            let result: kube::Result<()> = Err(kube::Error::Api(Box::new(status)));
            words(&result.context("trying ConfigMap/app").unwrap_err())
        };
        assert_eq!(
            answer(".data.colour: expected string, got a list: "),
            "trying ConfigMap/app: .data.colour: expected string, got a list"
        );
        assert!(
            answer("").starts_with("trying ConfigMap/app: "),
            "never without a cause"
        );
    }
}
