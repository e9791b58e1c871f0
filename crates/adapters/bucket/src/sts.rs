//! Temporary keys for a user of a directory, from a store's own token service.
//!
//! Source: <https://min.io/docs/minio/linux/developers/security-token-service/AssumeRoleWithLDAPIdentity.html>

use cloud::aws::Keys;
use cloud::form::Form;
use net_http::{Client, HeaderName, HeaderValue, Method, Request};
use tokio::time::Instant;

use crate::Error;
use crate::xml::leaves;

const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// Asks a token service for the keys of a user.
///
/// # Errors
/// [`Error::Token`].
pub async fn keys_of_ldap_user(
    client: &Client,
    endpoint: &str,
    (user, password): (&str, &str),
    deadline: Instant,
) -> Result<Keys, Error> {
    let fields = [
        ("Action", "AssumeRoleWithLDAPIdentity"),
        ("LDAPPassword", password),
        ("LDAPUsername", user),
        ("Version", "2011-06-15"),
    ];
    let given = ask(client, Form::new(endpoint, &fields), deadline).await;
    given.map_err(|error| Error::Token(Box::new(error)))
}

async fn ask(client: &Client, form: Form, deadline: Instant) -> Result<Keys, Error> {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let request = Request::new(Method::POST, form.url)
        .header(HeaderName::from_static("content-type"), kind)
        .timeout(deadline.saturating_duration_since(Instant::now()))
        .body(form.body);
    let response = client.send(request).await?;
    if !response.status().is_success() {
        return Err(Error::of(response, problem).await);
    }
    let body = response.bytes(MAX_ANSWER_BYTES).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Error::Malformed)?;
    read(text).ok_or(Error::Malformed)
}

fn read(text: &str) -> Option<Keys> {
    let (mut access, mut secret, mut session) = (None, None, None);
    let whole = leaves(text, |path, text| {
        let place = match path {
            [.., "Credentials", "AccessKeyId"] => &mut access,
            [.., "Credentials", "SecretAccessKey"] => &mut secret,
            [.., "Credentials", "SessionToken"] => &mut session,
            _ => return,
        };
        *place = Some(text.to_owned());
    });
    whole.then_some(Keys {
        access: access?,
        secret: secret?,
        session,
    })
}

/// Finds the code and the sentence of a refusal.
fn problem(body: &str) -> (String, String) {
    let (mut code, mut message) = (String::new(), String::new());
    leaves(body, |path, text| match path {
        [_, "Error", "Code"] => text.clone_into(&mut code),
        [_, "Error", "Message"] => text.clone_into(&mut message),
        _ => {}
    });
    (code, message)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;
    use crate::fake::{Fake, client, soon};

    /// covers: SC-113
    #[tokio::test]
    async fn user_of_a_directory_gets_keys_or_is_told_why_not() {
        let fake = Fake::start(|request| {
            assert_eq!(request.method, "POST");
            if request.body.contains("LDAPPassword=right%21") {
                "<?xml version=\"1.0\"?><AssumeRoleWithLDAPIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithLDAPIdentityResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken></Credentials></AssumeRoleWithLDAPIdentityResult></AssumeRoleWithLDAPIdentityResponse>".into_response()
            } else {
                let body = "<ErrorResponse><Error><Type></Type><Code>InvalidParameterValue</Code><Message>LDAP server error: no such user</Message></Error></ErrorResponse>";
                (axum::http::StatusCode::BAD_REQUEST, body).into_response()
            }
        })
        .await;
        let ask =
            async |password| keys_of_ldap_user(&client(), &fake.url, ("u", password), soon()).await;
        let keys = ask("right!").await.unwrap();
        assert_eq!((keys.access.as_str(), keys.secret.as_str()), ("a", "s"));
        assert_eq!(keys.session.as_deref(), Some("t"));
        assert_eq!(
            fake.seen()[0].body,
            "Action=AssumeRoleWithLDAPIdentity&LDAPPassword=right%21&LDAPUsername=u&Version=2011-06-15"
        );
        let error = ask("s3cret").await.unwrap_err();
        assert_eq!(
            net_http::chain(&error),
            "failed to get a token: LDAP server error: no such user"
        );
    }
}
