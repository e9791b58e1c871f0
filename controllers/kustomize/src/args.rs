//! The kustomize-controller's flags.
//!
//! Source: kustomize-controller v1.9.4 `main.go`.

use clap::Parser;
use manifest::order::{GroupKind, ParseGroupKindError};
use runtime::args::Shared;

/// Builds and applies Kustomizations.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Clone, Debug, Parser)]
#[command(name = "kustomize-controller", version, about)]
pub struct Args {
    /// What all controllers share.
    #[command(flatten)]
    pub shared: Shared,
    /// The number of objects of one Kustomization that are applied at once.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub concurrent_ssa: usize,
    /// Refuse references to sources in other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub no_cross_namespace_refs: bool,
    /// Refuse bases and files on other hosts.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub no_remote_bases: bool,
    /// Let kubeconfigs in Secrets run programs to log in.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub insecure_kubeconfig_exec: bool,
    /// Let kubeconfigs in Secrets trust any server certificate.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    pub insecure_kubeconfig_tls: bool,
    /// How often the download of an artifact is retried.
    #[arg(long, default_value_t = 9, value_name = "N")]
    pub http_retry: u32,
    /// The service account to impersonate where a Kustomization names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_service_account: String,
    /// The service account to log in to key services as where `spec.decryption` names none; needs the gate
    /// ObjectLevelWorkloadIdentity.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_decryption_service_account: String,
    /// The service account for remote clusters where `spec.kubeConfig.configMapRef` names none; needs the gate
    /// ObjectLevelWorkloadIdentity.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub default_kubeconfig_service_account: String,
    /// A ConfigMap in the controller's namespace with the servers of Vault and OpenBao that service accounts log in to.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub sops_vault_configmap: String,
    /// A Secret in the controller's namespace with age keys for Kustomizations that name none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub sops_age_secret: String,
    /// A field manager whose fields are taken over; may be given several times.
    #[arg(long = "override-manager", value_name = "NAME")]
    pub override_managers: Vec<String>,
    /// Kinds that are applied before the rest, as `group/Kind` joined by commas.
    #[arg(long, value_delimiter = ',', value_parser = group_kind, value_name = "GROUP/KIND,...")]
    pub custom_apply_stage_kinds: Vec<GroupKind>,
}

fn group_kind(text: &str) -> Result<GroupKind, String> {
    text.parse()
        .map_err(|error: ParseGroupKindError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_standard_deployment_are_accepted() {
        let args = Args::try_parse_from([
            "kustomize-controller",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--concurrent=20",
            "--no-remote-bases=true",
        ])
        .unwrap();
        assert_eq!(args.shared.pace.concurrent, 20);
        assert!(args.no_remote_bases);
    }

    /// covers: KC-047
    #[test]
    fn stage_kinds_are_read_from_a_list() {
        let flag = "--custom-apply-stage-kinds=rbac.authorization.k8s.io/Role,ConfigMap";
        let args = Args::try_parse_from(["x", flag]).unwrap();
        assert_eq!(args.custom_apply_stage_kinds.len(), 2);
        assert!(Args::try_parse_from(["x", "--custom-apply-stage-kinds=a/b/c"]).is_err());
    }
}
