//! The API of one repository of a Git service, where one header proves who asks.

use net_http::{Client, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::{Answer, Outgoing, SendError};

/// One repository of one service.
pub(super) struct Forge {
    pub(super) client: Client,
    /// Names the service in errors.
    pub(super) service: &'static str,
    /// The API's own address, without slash behind.
    pub(super) api: String,
    /// The repository's path in it: `/repos/<owner>/<name>`.
    pub(super) path: String,
    /// The header that proves who asks.
    pub(super) credentials: (HeaderName, HeaderValue),
}

impl Forge {
    /// Sends a request about the repository.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, SendError> {
        self.ask(method, &format!("{}{path}", self.path), body)
            .await
    }

    /// Sends a request about anything.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, SendError> {
        let (name, value) = self.credentials.clone();
        let mut request = Outgoing::new(method, format!("{}{path}", self.api)).header(name, value);
        if let Some(body) = body {
            request = request.with_json(body);
        }
        let answer = request.send(&self.client, self.service).await?;
        answer.expect_success(self.service)
    }
}
