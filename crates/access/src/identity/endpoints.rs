//! Addresses that stand in for those of clouds.

/// Addresses that stand in for those of clouds' services; absent: the real ones.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// AWS STS, as `AWS_ENDPOINT_URL_STS` names it.
    pub sts: Option<String>,
    /// AWS ECR, as `AWS_ENDPOINT_URL_ECR` names it.
    pub ecr: Option<String>,
    /// The public one, as `AWS_ENDPOINT_URL_ECR_PUBLIC` names it.
    pub ecr_public: Option<String>,
    /// AWS EKS, as `AWS_ENDPOINT_URL_EKS` names it.
    pub eks: Option<String>,
    /// Azure's metadata service, as `AZURE_POD_IDENTITY_AUTHORITY_HOST` names it.
    pub azure_metadata: Option<String>,
    /// Azure's resource manager.
    pub azure_manager: Option<String>,
    /// Any registry of Azure.
    pub azure_registry: Option<String>,
    /// Google's metadata service, as `GCE_METADATA_HOST` names it.
    pub google_metadata: Option<String>,
    /// Google's token service.
    pub google_sts: Option<String>,
    /// Google's service of credentials for service accounts.
    pub google_iam: Option<String>,
    /// Google Kubernetes Engine.
    pub gke: Option<String>,
}

impl Endpoints {
    /// Reads the variables that the clouds' own tools know.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let metadata = variable("GCE_METADATA_HOST");
        Self {
            sts: variable("AWS_ENDPOINT_URL_STS"),
            ecr: variable("AWS_ENDPOINT_URL_ECR"),
            ecr_public: variable("AWS_ENDPOINT_URL_ECR_PUBLIC"),
            eks: variable("AWS_ENDPOINT_URL_EKS"),
            azure_metadata: variable("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
            google_metadata: metadata.map(|host| format!("http://{host}")),
            ..Self::default()
        }
    }
}
