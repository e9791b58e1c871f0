//! The token service: a token of someone else for keys.
//!
//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>.

use http::Method;
use jiff::Timestamp;
use net_http::Client;

use super::{Keys, Unsigned, domain, hide_keys, host_of, sign, with_headers};
use crate::Error;
use crate::exchange::{Exchange, Lasting, base, form};

const WHAT: &str = "AssumeRoleWithWebIdentity";
const BY_KEYS: &str = "AssumeRole";
const API: &str = "2011-06-15";
const MAX_ROLE: usize = 200;

/// Which role is asked for, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct AssumeRole<'a> {
    /// The region whose service is asked.
    pub region: &'a str,
    /// The address of the service where it is not the region's own.
    pub endpoint: Option<&'a str>,
    /// `arn:aws:iam::<account>:role/<name>`.
    pub role: &'a str,
    /// How the session is called in logs.
    pub session: &'a str,
}

/// Exchanges a token for keys.
///
/// # Errors
/// [`Error`].
pub async fn assume_role(
    client: &Client,
    asked: &AssumeRole<'_>,
    token: &str,
) -> Result<Lasting<Keys>, Error> {
    let region = asked.region;
    let real = format!("https://sts.{region}.{}", domain(region));
    let url = format!("{}/", base(asked.endpoint, &real));
    let answer = Exchange::new(client, WHAT, Method::POST, url)
        .hide(token)
        .form(&[
            ("Action", WHAT),
            ("Version", API),
            ("RoleArn", asked.role),
            ("RoleSessionName", asked.session),
            ("WebIdentityToken", token),
        ])
        .text()
        .await?;
    read(&answer)
}

/// Exchanges keys for those of a role.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
///
/// # Errors
/// [`Error`].
pub async fn assume_role_with_keys(
    client: &Client,
    asked: &AssumeRole<'_>,
    keys: &Keys,
) -> Result<Lasting<Keys>, Error> {
    const CONTENT: &str = "application/x-www-form-urlencoded";
    let region = asked.region;
    let real = format!("https://sts.{region}.{}", domain(region));
    let url = base(asked.endpoint, &real);
    let body = form(&[
        ("Action", BY_KEYS),
        ("Version", API),
        ("RoleArn", asked.role),
        ("RoleSessionName", asked.session),
    ]);
    let request = Unsigned {
        method: "POST",
        host: host_of(&url),
        path: "/",
        query: &[],
        region,
        service: "sts",
    };
    let headers = [("content-type", CONTENT)];
    let signed = sign::sign_body(&request, &headers, &body, keys, Timestamp::now());
    let exchange = Exchange::new(client, BY_KEYS, Method::POST, format!("{url}/"));
    let exchange = with_headers(exchange.body(CONTENT, body), &signed)?;
    read(&hide_keys(exchange, keys).text().await?)
}

/// Reads the credentials of an answer in XML.
pub(super) fn read(answer: &str) -> Result<Lasting<Keys>, Error> {
    let shape = |why| Error::Shape { what: WHAT, why };
    let credentials = element(answer, "Credentials").ok_or(shape("credentials are nil"))?;
    let text = |name: &str| {
        let text = element(credentials, name).map(str::trim);
        text.filter(|text| !text.is_empty()).map(unescaped)
    };
    let incomplete = || shape("the credentials are incomplete");
    let until: Option<Timestamp> = text("Expiration").and_then(|text| text.parse().ok());
    Ok(Lasting {
        value: Keys {
            access: text("AccessKeyId").ok_or_else(incomplete)?,
            secret: text("SecretAccessKey").ok_or_else(incomplete)?,
            session: Some(text("SessionToken").ok_or_else(incomplete)?),
        },
        until: until.ok_or_else(incomplete)?,
    })
}

/// Returns what stands between the first tags of a name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// Makes sure that an annotation names a role.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn check_role(role: &str) -> Result<(), Error> {
    const PATTERN: &str = r"^arn:aws[\w-]*:iam::[0-9]{1,30}:role/.{1,200}$";
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let is_one = match parts[..] {
        ["arn", partition, "iam", "", account, name] => {
            let name = name.strip_prefix("role/").unwrap_or_default();
            is_partition(partition)
                && (1..=30).contains(&account.len())
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && (1..=MAX_ROLE).contains(&name.chars().count())
                && !name.contains('\n')
        }
        _ => false,
    };
    if is_one {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "invalid eks.amazonaws.com/role-arn annotation: '{role}'. must match {PATTERN}"
    )))
}

/// `aws`, `aws-cn`, `aws-us-gov` …
pub(super) fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws").is_some_and(|rest| {
        rest.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    })
}

/// Makes sure that an address is one of a token service.
///
/// # Errors
/// [`Error::Invalid`], in upstream's words.
pub fn check_token_service(endpoint: &str) -> Result<(), Error> {
    const PATTERN: &str = r"^https://(.+\.)?sts(-fips)?(\.[^.]+)?(\.vpce)?\.amazonaws\.com$";
    let labels = endpoint
        .strip_prefix("https://")
        .and_then(|rest| rest.strip_suffix(".amazonaws.com"))
        .map(|rest| {
            rest.trim_end_matches(".vpce")
                .split('.')
                .collect::<Vec<_>>()
        });
    let is_service = |label: &&str| matches!(*label, "sts" | "sts-fips");
    let is_one = labels.is_some_and(|labels| {
        let position = labels.iter().position(is_service);
        let last = position.is_some_and(|at| labels.len() - at <= 2);
        let clean = |label: &&str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        last && labels.iter().all(clean)
    });
    if is_one {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "invalid STS endpoint: '{endpoint}'. must match {PATTERN}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_addresses_are_checked() {
        check_role("arn:aws:iam::123456789012:role/my-role").unwrap();
        check_role("arn:aws-us-gov:iam::1:role/path/to").unwrap();
        for wrong in [
            "",
            "arn:aws:iam::x:role/a",
            "arn:aws:iam::1:role/",
            "arn:aws:iam::1:user/a",
            "arn:azure:iam::1:role/a",
        ] {
            assert!(check_role(wrong).is_err(), "{wrong}");
        }
        for right in [
            "https://sts.amazonaws.com",
            "https://sts.us-east-1.amazonaws.com",
            "https://vpce-1.sts.us-east-1.vpce.amazonaws.com",
            "https://sts-fips.us-east-2.amazonaws.com",
        ] {
            check_token_service(right).unwrap();
        }
        for wrong in [
            "http://sts.amazonaws.com",
            "https://sts.amazonaws.com.evil.example",
            "https://evil.example/sts.amazonaws.com",
            "https://s3.amazonaws.com",
            "https://sts.a.b.c.amazonaws.com",
        ] {
            assert!(check_token_service(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn credentials_are_read_from_xml() {
        let answer = "<A><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s&amp;/+</SecretAccessKey>\
                      <SessionToken>t==</SessionToken><Expiration>2026-01-01T00:00:00Z</Expiration></Credentials></A>";
        let keys = read(answer).unwrap();
        assert_eq!(keys.value.secret, "s&/+");
        assert_eq!(keys.until.as_second(), 1_767_225_600);
        assert!(!format!("{keys:?}").contains("ASIA"));
        assert!(read("<A/>").is_err());
        assert!(read(&answer.replace("SessionToken", "X")).is_err());
    }
}
