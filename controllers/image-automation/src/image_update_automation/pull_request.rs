//! A pull request for the branch that is pushed to: opened where there is none, else brought up to date.
//!
//! Source: <https://docs.github.com/rest/pulls>, <https://docs.gitlab.com/api/merge_requests>,
//! <https://docs.gitea.com/api/>, as of 2026.

use api::image::PullRequestProvider;
use net_http::{Client, HeaderName, HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};

/// No answer of such an API is larger.
const MAX_ANSWER_BYTES: u64 = 8 << 20;
/// How much of an error answer is shown.
const SHOWN: usize = 512;

/// What a pull request is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) head: String,
    pub(super) base: String,
    pub(super) title: String,
    pub(super) body: String,
}

/// A repository behind an API.
#[derive(Clone, Debug)]
pub(super) struct Forge {
    pub(super) provider: PullRequestProvider,
    /// The API's address, without a slash at its end.
    pub(super) address: String,
    /// `<owner>/<name>`, with GitLab perhaps more.
    pub(super) repository: String,
    pub(super) token: String,
}

/// Why there is no pull request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ForgeError {
    /// The URL of the repository does not tell owner and name.
    #[error("'{0}' names no owner and repository")]
    Repository(String),
    /// There is no token.
    #[error("no token: name a Secret with the key 'token' in pullRequest.secretRef")]
    NoToken,
    /// No answer.
    #[error(transparent)]
    Http(#[from] net_http::Error),
    /// The API refused.
    #[error("{method} {path}: {status}: {body}")]
    Status {
        method: Method,
        path: String,
        status: StatusCode,
        body: String,
    },
    /// The answer is not what the API promises.
    #[error("{0}: the answer cannot be read")]
    Answer(String),
}

impl Forge {
    /// Finds the API and the repository from the URL that is cloned.
    pub(super) fn of(
        provider: PullRequestProvider,
        address: Option<&str>,
        url: &str,
        token: String,
    ) -> Result<Self, ForgeError> {
        let unclear = || ForgeError::Repository(net_http::without_credentials(url));
        let (scheme, rest) = url.split_once("://").ok_or_else(unclear)?;
        let (authority, path) = rest.split_once('/').ok_or_else(unclear)?;
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let path = path.trim_matches('/');
        let repository = path.strip_suffix(".git").unwrap_or(path).to_owned();
        if !repository.contains('/') {
            return Err(unclear());
        }
        // The port of SSH is none of the API's.
        let (scheme, host) = match scheme {
            "http" => ("http", host),
            "https" => ("https", host),
            _ => ("https", host.split(':').next().unwrap_or(host)),
        };
        let address = match address {
            Some(address) => address.trim_end_matches('/').to_owned(),
            None => match provider {
                PullRequestProvider::Github if host == "github.com" => {
                    "https://api.github.com".to_owned()
                }
                PullRequestProvider::Github => format!("{scheme}://{host}/api/v3"),
                PullRequestProvider::Gitlab => format!("{scheme}://{host}/api/v4"),
                PullRequestProvider::Gitea => format!("{scheme}://{host}/api/v1"),
            },
        };
        Ok(Self {
            provider,
            address,
            repository,
            token,
        })
    }

    /// Opens the pull request, or brings the open one up to date. Returns its address.
    pub(super) async fn ensure(&self, client: &Client, wish: &Wish) -> Result<String, ForgeError> {
        let open = self.find(client, wish).await?;
        let (title, text) = match self.provider {
            PullRequestProvider::Gitlab => ("title", "description"),
            PullRequestProvider::Github | PullRequestProvider::Gitea => ("title", "body"),
        };
        let answer = if let Some(number) = open {
            let method = match self.provider {
                PullRequestProvider::Gitlab => Method::PUT,
                PullRequestProvider::Github | PullRequestProvider::Gitea => Method::PATCH,
            };
            let body = json!({ title: wish.title, text: wish.body });
            self.send(
                client,
                method,
                &format!("{}/{number}", self.requests()),
                Some(body),
            )
            .await?
        } else {
            let body = match self.provider {
                PullRequestProvider::Gitlab => json!({ title: wish.title, text: wish.body,
                    "source_branch": wish.head, "target_branch": wish.base }),
                PullRequestProvider::Github | PullRequestProvider::Gitea => {
                    json!({ title: wish.title, text: wish.body, "head": wish.head, "base": wish.base })
                }
            };
            self.send(client, Method::POST, &self.requests(), Some(body))
                .await?
        };
        let link = match self.provider {
            PullRequestProvider::Gitlab => "web_url",
            PullRequestProvider::Github | PullRequestProvider::Gitea => "html_url",
        };
        Ok(answer[link].as_str().unwrap_or_default().to_owned())
    }

    /// The path of the repository's pull requests.
    fn requests(&self) -> String {
        match self.provider {
            PullRequestProvider::Gitlab => {
                format!("/projects/{}/merge_requests", escaped(&self.repository))
            }
            PullRequestProvider::Github | PullRequestProvider::Gitea => {
                format!("/repos/{}/pulls", self.repository)
            }
        }
    }

    /// Returns the number of the open pull request from the one branch to the other.
    async fn find(&self, client: &Client, wish: &Wish) -> Result<Option<u64>, ForgeError> {
        let (head, base) = (escaped(&wish.head), escaped(&wish.base));
        let owner = self.repository.split('/').next().unwrap_or_default();
        let query = match self.provider {
            PullRequestProvider::Github => format!("state=open&head={owner}:{head}&base={base}"),
            PullRequestProvider::Gitlab => {
                format!("state=opened&source_branch={head}&target_branch={base}")
            }
            PullRequestProvider::Gitea => "state=open&limit=50".to_owned(),
        };
        let path = format!("{}?{query}", self.requests());
        let answer = self.send(client, Method::GET, &path, None).await?;
        let all = answer.as_array().ok_or_else(|| ForgeError::Answer(path))?;
        let found = all.iter().find(|each| match self.provider {
            PullRequestProvider::Gitea => {
                each["head"]["ref"] == wish.head.as_str()
                    && each["base"]["ref"] == wish.base.as_str()
            }
            // Asked for by name already.
            PullRequestProvider::Github | PullRequestProvider::Gitlab => true,
        });
        let key = match self.provider {
            PullRequestProvider::Gitlab => "iid",
            PullRequestProvider::Github | PullRequestProvider::Gitea => "number",
        };
        Ok(found.and_then(|each| each[key].as_u64()))
    }

    async fn send(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ForgeError> {
        let (name, value) = match self.provider {
            PullRequestProvider::Github => ("authorization", format!("Bearer {}", self.token)),
            PullRequestProvider::Gitlab => ("private-token", self.token.clone()),
            PullRequestProvider::Gitea => ("authorization", format!("token {}", self.token)),
        };
        let value = HeaderValue::try_from(value).map_err(|_| ForgeError::NoToken)?;
        let mut request = Request::new(method.clone(), format!("{}{path}", self.address))
            .header(HeaderName::from_static(name), value)
            .header(
                HeaderName::from_static("accept"),
                HeaderValue::from_static("application/json"),
            );
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request
                .header(HeaderName::from_static("content-type"), json)
                .body(body.to_string());
        }
        let answer = client.send(request).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(ForgeError::Status {
                method,
                path: path.split('?').next().unwrap_or(path).to_owned(),
                status,
                body: answer.text_for_message(SHOWN).await,
            });
        }
        let bytes = answer.bytes(MAX_ANSWER_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|_| ForgeError::Answer(path.to_owned()))
    }
}

/// Percent encoding of everything that is not plainly harmless.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.extend(
                    char::from_digit(digit.into(), 16).map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
    }
    out
}

/// Title and text of a message: its first line, and what follows it.
pub(super) fn halves(message: &str) -> (String, String) {
    let (title, body) = message
        .trim()
        .split_once('\n')
        .unwrap_or((message.trim(), ""));
    (title.trim().to_owned(), body.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_http::{ClientConfig, Clients, Environment};
    use testkit::{Answer, HttpSink};

    #[test]
    fn api_and_repository_are_read_from_the_url() {
        use PullRequestProvider::{Gitea, Github, Gitlab};
        for (provider, url, address, repository) in [
            (
                Github,
                "https://github.com/org/app.git",
                "https://api.github.com",
                "org/app",
            ),
            (
                Github,
                "ssh://git@git.example:2222/org/app",
                "https://git.example/api/v3",
                "org/app",
            ),
            (
                Gitlab,
                "https://gitlab.com/a/b/c.git",
                "https://gitlab.com/api/v4",
                "a/b/c",
            ),
            (
                Gitea,
                "http://localhost:3000/org/app",
                "http://localhost:3000/api/v1",
                "org/app",
            ),
        ] {
            let forge = Forge::of(provider, None, url, "t".into()).unwrap();
            assert_eq!(
                (&*forge.address, &*forge.repository),
                (address, repository),
                "{url}"
            );
        }
        assert!(Forge::of(Github, None, "https://github.com/app", "t".into()).is_err());
    }

    async fn ensured(provider: PullRequestProvider, open: &str, done: &str) -> (String, HttpSink) {
        let sink = HttpSink::start().unwrap();
        sink.answer_once(Answer::body(open.to_owned()));
        sink.answer_once(Answer::body(done.to_owned()));
        let clients = Clients::new("test", Environment::default());
        let client = clients.get(&ClientConfig::default()).unwrap();
        let address = sink.url();
        let forge = Forge::of(
            provider,
            Some(&address),
            "https://h/org/app.git",
            "secret".into(),
        );
        let wish = Wish {
            head: "flux/updates".into(),
            base: "main".into(),
            title: "Update".into(),
            body: "text".into(),
        };
        let link = forge.unwrap().ensure(&client, &wish).await.unwrap();
        (link, sink)
    }

    #[tokio::test]
    async fn request_is_opened_where_there_is_none() {
        use PullRequestProvider::{Gitea, Github, Gitlab};
        for (provider, done, asked, posted, token) in [
            (
                Github,
                r#"{"html_url":"https://x/1"}"#,
                "/repos/org/app/pulls?state=open&head=org:flux%2Fupdates&base=main",
                "/repos/org/app/pulls",
                ("authorization", "Bearer secret"),
            ),
            (
                Gitlab,
                r#"{"web_url":"https://x/1"}"#,
                "/projects/org%2Fapp/merge_requests?state=opened&source_branch=flux%2Fupdates&target_branch=main",
                "/projects/org%2Fapp/merge_requests",
                ("private-token", "secret"),
            ),
            (
                Gitea,
                r#"{"html_url":"https://x/1"}"#,
                "/repos/org/app/pulls?state=open&limit=50",
                "/repos/org/app/pulls",
                ("authorization", "token secret"),
            ),
        ] {
            let (link, sink) = ensured(provider, "[]", done).await;
            assert_eq!(link, "https://x/1");
            let requests = sink.requests();
            assert_eq!(requests[0].target, asked);
            assert_eq!(
                (&*requests[1].method, &*requests[1].target),
                ("POST", posted)
            );
            assert_eq!(requests[1].header(token.0), Some(token.1));
            let body: Value = requests[1].json().unwrap();
            assert_eq!(body["title"], "Update");
        }
    }

    #[tokio::test]
    async fn open_request_is_brought_up_to_date() {
        use PullRequestProvider::{Gitea, Github, Gitlab};
        let gitea = r#"[{"number":6,"head":{"ref":"x"},"base":{"ref":"main"}},{"number":7,"head":{"ref":"flux/updates"},"base":{"ref":"main"}}]"#;
        for (provider, open, method, path) in [
            (
                Github,
                r#"[{"number":7}]"#,
                "PATCH",
                "/repos/org/app/pulls/7",
            ),
            (
                Gitlab,
                r#"[{"iid":7}]"#,
                "PUT",
                "/projects/org%2Fapp/merge_requests/7",
            ),
            (Gitea, gitea, "PATCH", "/repos/org/app/pulls/7"),
        ] {
            let (_, sink) = ensured(provider, open, "{}").await;
            let requests = sink.requests();
            assert_eq!((&*requests[1].method, &*requests[1].target), (method, path));
        }
    }
}
