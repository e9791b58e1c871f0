//! Keys of Amazon Web Services.

use cloud::Lasting;
use cloud::aws::{AssumeRole, Environment, Keys, assume_role, from_container, from_machine};
use jiff::{SignedDuration, Timestamp};

use super::{Account, Asker, Identities, IdentityError, file};

const ROLE: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "sts.amazonaws.com";
const NO_REGION: &str = "AWS_REGION environment variable is not set in the controller. if you have properly configured \
                         IAM Roles for Service Accounts (IRSA) or EKS Pod Identity, please delete/replace the \
                         controller pod so the EKS admission controllers can inject this environment variable, or \
                         set it manually if the cluster is not EKS";
const NO_REGION_OF_ACCOUNT: &str = "an AWS region is required for authenticating with a service account. please \
                                    configure one in the object spec";
/// Keys without an end are looked at again after this.
const STEADY: SignedDuration = SignedDuration::from_hours(1);

/// Where keys are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsPlace<'a> {
    /// The region; absent: the process's own.
    pub region: Option<&'a str>,
    /// The token service, where the object names one.
    pub token_service: Option<&'a str>,
}

impl Identities {
    /// Returns the region that this process runs in, where it is told.
    pub fn aws_region(&self) -> Option<&str> {
        self.0.aws.region.as_deref()
    }

    /// Returns keys of AWS.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn aws_keys(
        &self,
        asker: &Asker<'_>,
        place: AwsPlace<'_>,
    ) -> Result<Keys, IdentityError> {
        let account = self.account(asker).await?;
        self.keys_of(asker, account.as_ref(), place).await
    }

    pub(super) async fn keys_of(
        &self,
        asker: &Asker<'_>,
        account: Option<&Account>,
        place: AwsPlace<'_>,
    ) -> Result<Keys, IdentityError> {
        if let Some(endpoint) = place.token_service {
            cloud::aws::check_token_service(endpoint)?;
        }
        let own = self.0.aws.region.as_deref().filter(|_| account.is_none());
        let region = place.region.filter(|region| !region.is_empty()).or(own);
        let invalid = |why: &str| cloud::Error::Invalid(why.to_owned());
        let words = [
            "aws",
            region.unwrap_or_default(),
            place.token_service.unwrap_or_default(),
        ];
        let endpoint = place.token_service.or(self.0.endpoints.sts.as_deref());
        if let Some(account) = account {
            let role = account.annotation(ROLE).unwrap_or_default();
            cloud::aws::check_role(role).map_err(|error| account.wrong(error))?;
            let region = region.ok_or_else(|| account.refused(invalid(NO_REGION_OF_ACCOUNT)))?;
            let session = format!("{}.{}.{region}.fluxcd.io", account.name, account.namespace);
            let asked = AssumeRole {
                region,
                endpoint,
                role,
                session: session_name(&session),
            };
            let ask = || async {
                let token = self.token_request(account, vec![AUDIENCE.into()]).await?;
                let client = self.outside(asker.proxy)?;
                let keys = assume_role(&client, &asked, &token).await;
                keys.map_err(|error| account.refused(error))
            };
            self.kept(asker, Some(account), &words, ask).await
        } else {
            let region = region.ok_or_else(|| IdentityError::OfController(invalid(NO_REGION)))?;
            let ask = || self.own_keys(asker, region, endpoint);
            self.kept(asker, None, &words, ask).await
        }
    }

    /// Asks where this process runs: variables, web identity, container, machine.
    async fn own_keys(
        &self,
        asker: &Asker<'_>,
        region: &str,
        endpoint: Option<&str>,
    ) -> Result<Lasting<Keys>, IdentityError> {
        let environment: &Environment = &self.0.aws;
        if let Some(keys) = &environment.keys {
            let now = Timestamp::now();
            return Ok(Lasting {
                value: keys.clone(),
                until: now.checked_add(STEADY).unwrap_or(now),
            });
        }
        if let Some((path, role)) = &environment.web_identity {
            let token = file("AWS_WEB_IDENTITY_TOKEN_FILE", path).await?;
            let asked = AssumeRole {
                region,
                endpoint,
                role,
                session: environment.session.as_deref().unwrap_or("lockgate"),
            };
            let client = self.outside(asker.proxy)?;
            let keys = assume_role(&client, &asked, &token).await;
            return keys.map_err(IdentityError::OfController);
        }
        let client = self.beside()?;
        let keys = if let Some(url) = &environment.container {
            let token = match &environment.container_token_file {
                Some(path) => Some(file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path).await?),
                None => environment.container_token.clone(),
            };
            from_container(&client, url, token.as_deref()).await
        } else if let Some(url) = &environment.metadata {
            from_machine(&client, url).await
        } else {
            let why = "there are neither keys nor a role in the environment, and EC2's metadata is disabled";
            Err(cloud::Error::Invalid(why.to_owned()))
        };
        keys.map_err(IdentityError::OfController)
    }
}

/// Cuts a session's name to what the token service takes.
fn session_name(name: &str) -> &str {
    name.get(..64).unwrap_or(name)
}
