//! How an error is said.

/// Returns an error with its causes, in one line; of what the API server answers only the message, which may end in a
/// colon and nothing after it.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let words = runtime::failure::chain(error.as_ref());
    words.trim_end_matches([':', ' ']).to_owned()
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
