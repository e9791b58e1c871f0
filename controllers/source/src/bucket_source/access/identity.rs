//! Who asks a store, as Secrets say.

use bucket::AzureIdentity;
use cloud::service_account::ServiceAccount;
use runtime::secrets::SecretView;

/// Returns the value of a key without blanks around it; one of nothing else counts as absent.
pub(super) fn text(secret: &SecretView, key: &str) -> Option<String> {
    let text = secret.text(key).map(str::trim);
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns the name of a Secret without its namespace.
pub(super) fn short(secret: &SecretView) -> &str {
    secret.name.rsplit('/').next().unwrap_or_default()
}

/// Reads the key of a service account of Google.
pub(super) fn google(secret: &SecretView) -> Result<ServiceAccount, String> {
    let name = short(secret);
    let Some(file) = secret.bytes("serviceaccount") else {
        return Err(format!(
            "invalid '{name}' secret data: required fields 'serviceaccount'"
        ));
    };
    ServiceAccount::parse(file).map_err(|error| format!("invalid '{name}' secret data: {error}"))
}

/// Reads who asks Azure: an application by its secret, an account by its key, or whoever has a signature.
pub(super) fn azure(secret: &SecretView) -> Result<AzureIdentity, String> {
    let text = |key| text(secret, key);
    let application = (text("tenantId"), text("clientId"), text("clientSecret"));
    if let (Some(tenant), Some(client), Some(secret)) = application {
        return Ok(AzureIdentity::ClientSecret {
            tenant,
            client,
            secret,
            authority: text("authorityHost"),
        });
    }
    let name = short(secret);
    if text("clientCertificate").is_some() {
        return Err(format!(
            "invalid '{name}' secret data: 'clientCertificate' is not supported"
        ));
    }
    if let Some(key) = text("accountKey") {
        return Ok(AzureIdentity::AccountKey(key));
    }
    if let Some(signature) = text("sasKey") {
        return Ok(AzureIdentity::SharedAccessSignature(signature));
    }
    if text("clientId").is_some() {
        return Err(format!(
            "invalid '{name}' secret data: a managed identity is not supported"
        ));
    }
    Err(format!(
        "invalid '{name}' secret data: requires a combination of 'tenantId', 'clientId' and 'clientSecret', an 'accountKey' or a 'sasKey'"
    ))
}

/// Reads user name and password of a directory's user.
pub(super) fn directory(secret: &SecretView) -> Result<(String, String), String> {
    match (text(secret, "username"), text(secret, "password")) {
        (Some(user), Some(password)) => Ok((user, password)),
        _ => Err(format!(
            "invalid '{}' secret data for 'ldap' STS provider: required fields username, password",
            short(secret)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(pairs: &[(&str, &str)]) -> SecretView {
        let pair = |(key, value): &(&str, &str)| {
            let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
            ((*key).to_owned(), value)
        };
        SecretView {
            name: "ns/dummy".into(),
            kind: String::new(),
            data: pairs.iter().map(pair).collect(),
        }
    }

    /// covers: SC-114
    #[test]
    fn azure_takes_what_is_complete() {
        let shown = |pairs: &[(&str, &str)]| match azure(&view(pairs)) {
            Ok(identity) => format!("{identity:?}"),
            Err(why) => why,
        };
        let application = [("tenantId", "t"), ("clientId", "c"), ("clientSecret", "s")];
        assert_eq!(shown(&application), "ClientSecret(..)");
        assert_eq!(shown(&[("accountKey", "a")]), "AccountKey(..)");
        assert_eq!(shown(&[("sasKey", "?a=b")]), "SharedAccessSignature(..)");
        assert!(shown(&application[..2]).contains("a managed identity is not supported"));
        assert!(shown(&[]).starts_with("invalid 'dummy' secret data: requires a combination"));
    }

    /// covers: SC-102
    #[test]
    fn what_lacks_is_named_and_what_is_there_is_not_shown() {
        assert_eq!(
            directory(&view(&[("username", "u")])).unwrap_err(),
            "invalid 'dummy' secret data for 'ldap' STS provider: required fields username, password"
        );
        assert_eq!(
            google(&view(&[])).unwrap_err(),
            "invalid 'dummy' secret data: required fields 'serviceaccount'"
        );
        let error = google(&view(&[("serviceaccount", "s3cret")])).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
