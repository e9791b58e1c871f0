//! Which lists of the built-in kinds merge by key, and through which fields they are reached.
//!
//! Only types that lead to such a list are here; whatever is not merges as a map or is replaced as
//! a list. Flat data, sorted so that it can be searched.
//!
//! **Source:** the OpenAPI document of Kubernetes 1.21.2 (`x-kubernetes-patch-strategy`,
//! `x-kubernetes-patch-merge-key`, `x-kubernetes-list-map-keys`), the version kustomize 5.8.1 has.

use super::builtin::Field::{self, List, Object};

/// The kinds: apiVersion, kind, index into [`TYPES`]; sorted.
pub(super) const ROOTS: &[(&str, &str, u8)] = &[
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        0,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        0,
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration",
        0,
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "ValidatingWebhookConfiguration",
        0,
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", 1),
    (
        "apiextensions.k8s.io/v1beta1",
        "CustomResourceDefinition",
        1,
    ),
    ("apiregistration.k8s.io/v1", "APIService", 2),
    ("apiregistration.k8s.io/v1beta1", "APIService", 2),
    ("apps/v1", "ControllerRevision", 1),
    ("apps/v1", "DaemonSet", 3),
    ("apps/v1", "Deployment", 3),
    ("apps/v1", "ReplicaSet", 3),
    ("apps/v1", "StatefulSet", 3),
    ("authentication.k8s.io/v1", "TokenRequest", 1),
    ("authentication.k8s.io/v1", "TokenReview", 1),
    ("authentication.k8s.io/v1beta1", "TokenReview", 1),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview", 1),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview", 1),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview", 1),
    ("authorization.k8s.io/v1", "SubjectAccessReview", 1),
    (
        "authorization.k8s.io/v1beta1",
        "LocalSubjectAccessReview",
        1,
    ),
    ("authorization.k8s.io/v1beta1", "SelfSubjectAccessReview", 1),
    ("authorization.k8s.io/v1beta1", "SelfSubjectRulesReview", 1),
    ("authorization.k8s.io/v1beta1", "SubjectAccessReview", 1),
    ("autoscaling/v1", "HorizontalPodAutoscaler", 1),
    ("autoscaling/v1", "Scale", 1),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler", 1),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 1),
    ("batch/v1", "CronJob", 4),
    ("batch/v1", "Job", 3),
    ("batch/v1beta1", "CronJob", 4),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", 1),
    (
        "certificates.k8s.io/v1beta1",
        "CertificateSigningRequest",
        1,
    ),
    ("coordination.k8s.io/v1", "Lease", 1),
    ("coordination.k8s.io/v1beta1", "Lease", 1),
    ("discovery.k8s.io/v1", "EndpointSlice", 1),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", 1),
    ("events.k8s.io/v1", "Event", 1),
    ("events.k8s.io/v1beta1", "Event", 1),
    ("extensions/v1beta1", "Ingress", 1),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema", 1),
    (
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "PriorityLevelConfiguration",
        1,
    ),
    ("kustomize.config.k8s.io/v1beta1", "Kustomization", 5),
    ("networking.k8s.io/v1", "Ingress", 1),
    ("networking.k8s.io/v1", "IngressClass", 1),
    ("networking.k8s.io/v1", "NetworkPolicy", 1),
    ("networking.k8s.io/v1beta1", "Ingress", 1),
    ("networking.k8s.io/v1beta1", "IngressClass", 1),
    ("node.k8s.io/v1", "RuntimeClass", 1),
    ("node.k8s.io/v1beta1", "RuntimeClass", 1),
    ("policy/v1", "PodDisruptionBudget", 2),
    ("policy/v1beta1", "Eviction", 1),
    ("policy/v1beta1", "PodDisruptionBudget", 2),
    ("policy/v1beta1", "PodSecurityPolicy", 1),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", 1),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", 1),
    ("rbac.authorization.k8s.io/v1", "Role", 1),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", 1),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole", 1),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding", 1),
    ("rbac.authorization.k8s.io/v1beta1", "Role", 1),
    ("rbac.authorization.k8s.io/v1beta1", "RoleBinding", 1),
    ("scheduling.k8s.io/v1", "PriorityClass", 1),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 1),
    ("storage.k8s.io/v1", "CSIDriver", 1),
    ("storage.k8s.io/v1", "CSINode", 6),
    ("storage.k8s.io/v1", "StorageClass", 1),
    ("storage.k8s.io/v1", "VolumeAttachment", 1),
    ("storage.k8s.io/v1beta1", "CSIDriver", 1),
    ("storage.k8s.io/v1beta1", "CSINode", 6),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 1),
    ("storage.k8s.io/v1beta1", "StorageClass", 1),
    ("storage.k8s.io/v1beta1", "VolumeAttachment", 1),
    ("v1", "Binding", 1),
    ("v1", "ComponentStatus", 7),
    ("v1", "ConfigMap", 1),
    ("v1", "Endpoints", 1),
    ("v1", "Event", 1),
    ("v1", "LimitRange", 1),
    ("v1", "Namespace", 2),
    ("v1", "Node", 8),
    ("v1", "PersistentVolume", 1),
    ("v1", "PersistentVolumeClaim", 2),
    ("v1", "Pod", 9),
    ("v1", "PodTemplate", 10),
    ("v1", "ReplicationController", 3),
    ("v1", "ResourceQuota", 1),
    ("v1", "Secret", 1),
    ("v1", "Service", 11),
    ("v1", "ServiceAccount", 12),
];

/// The types: their fields by name, sorted.
pub(super) const TYPES: &[&[(&str, Field)]] = &[
    // 0: MutatingWebhookConfiguration
    &[
        ("metadata", Object(13)),
        ("webhooks", List(&["name"], None)),
    ],
    // 1: CustomResourceDefinition
    &[("metadata", Object(13))],
    // 2: APIService
    &[("metadata", Object(13)), ("status", Object(14))],
    // 3: DaemonSet
    &[
        ("metadata", Object(13)),
        ("spec", Object(15)),
        ("status", Object(14)),
    ],
    // 4: CronJob
    &[("metadata", Object(13)), ("spec", Object(16))],
    // 5: Kustomization
    &[
        ("configMapGenerator", List(&["name"], None)),
        ("secretGenerator", List(&["name"], None)),
    ],
    // 6: CSINode
    &[("metadata", Object(13)), ("spec", Object(17))],
    // 7: ComponentStatus
    &[
        ("conditions", List(&["type"], None)),
        ("metadata", Object(13)),
    ],
    // 8: Node
    &[
        ("metadata", Object(13)),
        ("spec", Object(18)),
        ("status", Object(19)),
    ],
    // 9: Pod
    &[
        ("metadata", Object(13)),
        ("spec", Object(20)),
        ("status", Object(21)),
    ],
    // 10: PodTemplate
    &[("metadata", Object(13)), ("template", Object(22))],
    // 11: Service
    &[
        ("metadata", Object(13)),
        ("spec", Object(23)),
        ("status", Object(14)),
    ],
    // 12: ServiceAccount
    &[("metadata", Object(13)), ("secrets", List(&["name"], None))],
    // 13: ObjectMeta
    &[
        ("finalizers", List(&[], None)),
        ("ownerReferences", List(&["uid"], None)),
    ],
    // 14: APIServiceStatus
    &[("conditions", List(&["type"], None))],
    // 15: DaemonSetSpec
    &[("template", Object(22))],
    // 16: CronJobSpec
    &[("jobTemplate", Object(24))],
    // 17: CSINodeSpec
    &[("drivers", List(&["name"], None))],
    // 18: NodeSpec
    &[("podCIDRs", List(&[], None))],
    // 19: NodeStatus
    &[
        ("addresses", List(&["type"], None)),
        ("conditions", List(&["type"], None)),
    ],
    // 20: PodSpec
    &[
        ("containers", List(&["name"], Some(25))),
        ("ephemeralContainers", List(&["name"], Some(26))),
        ("hostAliases", List(&["ip"], None)),
        ("imagePullSecrets", List(&["name"], None)),
        ("initContainers", List(&["name"], Some(25))),
        (
            "topologySpreadConstraints",
            List(&["topologyKey", "whenUnsatisfiable"], None),
        ),
        ("volumes", List(&["name"], Some(27))),
    ],
    // 21: PodStatus
    &[
        ("conditions", List(&["type"], None)),
        ("podIPs", List(&["ip"], None)),
    ],
    // 22: PodTemplateSpec
    &[("metadata", Object(13)), ("spec", Object(20))],
    // 23: ServiceSpec
    &[("ports", List(&["port", "protocol"], None))],
    // 24: JobTemplateSpec
    &[("metadata", Object(13)), ("spec", Object(15))],
    // 25: Container
    &[
        ("env", List(&["name"], None)),
        ("ports", List(&["containerPort", "protocol"], None)),
        ("volumeDevices", List(&["devicePath"], None)),
        ("volumeMounts", List(&["mountPath"], None)),
    ],
    // 26: EphemeralContainer
    &[
        ("env", List(&["name"], None)),
        ("volumeDevices", List(&["devicePath"], None)),
        ("volumeMounts", List(&["mountPath"], None)),
    ],
    // 27: Volume
    &[("ephemeral", Object(28))],
    // 28: EphemeralVolumeSource
    &[("volumeClaimTemplate", Object(1))],
];

/// The names the types have in the document, which schemas of users may refer to; sorted.
pub(super) const NAMES: &[(&str, u8)] = &[
    (
        "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
        0,
    ),
    (
        "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
        0,
    ),
    (
        "io.k8s.api.admissionregistration.v1beta1.MutatingWebhookConfiguration",
        0,
    ),
    (
        "io.k8s.api.admissionregistration.v1beta1.ValidatingWebhookConfiguration",
        0,
    ),
    ("io.k8s.api.apps.v1.ControllerRevision", 1),
    ("io.k8s.api.apps.v1.DaemonSet", 3),
    ("io.k8s.api.apps.v1.DaemonSetSpec", 15),
    ("io.k8s.api.apps.v1.DaemonSetStatus", 14),
    ("io.k8s.api.apps.v1.Deployment", 3),
    ("io.k8s.api.apps.v1.DeploymentSpec", 15),
    ("io.k8s.api.apps.v1.DeploymentStatus", 14),
    ("io.k8s.api.apps.v1.Kustomization", 5),
    ("io.k8s.api.apps.v1.ReplicaSet", 3),
    ("io.k8s.api.apps.v1.ReplicaSetSpec", 15),
    ("io.k8s.api.apps.v1.ReplicaSetStatus", 14),
    ("io.k8s.api.apps.v1.StatefulSet", 3),
    ("io.k8s.api.apps.v1.StatefulSetSpec", 15),
    ("io.k8s.api.apps.v1.StatefulSetStatus", 14),
    ("io.k8s.api.authentication.v1.TokenRequest", 1),
    ("io.k8s.api.authentication.v1.TokenReview", 1),
    ("io.k8s.api.authentication.v1beta1.TokenReview", 1),
    ("io.k8s.api.authorization.v1.LocalSubjectAccessReview", 1),
    ("io.k8s.api.authorization.v1.SelfSubjectAccessReview", 1),
    ("io.k8s.api.authorization.v1.SelfSubjectRulesReview", 1),
    ("io.k8s.api.authorization.v1.SubjectAccessReview", 1),
    (
        "io.k8s.api.authorization.v1beta1.LocalSubjectAccessReview",
        1,
    ),
    (
        "io.k8s.api.authorization.v1beta1.SelfSubjectAccessReview",
        1,
    ),
    ("io.k8s.api.authorization.v1beta1.SelfSubjectRulesReview", 1),
    ("io.k8s.api.authorization.v1beta1.SubjectAccessReview", 1),
    ("io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler", 1),
    ("io.k8s.api.autoscaling.v1.Scale", 1),
    ("io.k8s.api.autoscaling.v2beta1.HorizontalPodAutoscaler", 1),
    ("io.k8s.api.autoscaling.v2beta2.HorizontalPodAutoscaler", 1),
    ("io.k8s.api.batch.v1.CronJob", 4),
    ("io.k8s.api.batch.v1.CronJobSpec", 16),
    ("io.k8s.api.batch.v1.Job", 3),
    ("io.k8s.api.batch.v1.JobSpec", 15),
    ("io.k8s.api.batch.v1.JobStatus", 14),
    ("io.k8s.api.batch.v1.JobTemplateSpec", 24),
    ("io.k8s.api.batch.v1beta1.CronJob", 4),
    ("io.k8s.api.batch.v1beta1.CronJobSpec", 16),
    ("io.k8s.api.batch.v1beta1.JobTemplateSpec", 24),
    ("io.k8s.api.certificates.v1.CertificateSigningRequest", 1),
    (
        "io.k8s.api.certificates.v1beta1.CertificateSigningRequest",
        1,
    ),
    ("io.k8s.api.coordination.v1.Lease", 1),
    ("io.k8s.api.coordination.v1beta1.Lease", 1),
    ("io.k8s.api.core.v1.Binding", 1),
    ("io.k8s.api.core.v1.ComponentStatus", 7),
    ("io.k8s.api.core.v1.ConfigMap", 1),
    ("io.k8s.api.core.v1.Container", 25),
    ("io.k8s.api.core.v1.Endpoints", 1),
    ("io.k8s.api.core.v1.EphemeralContainer", 26),
    ("io.k8s.api.core.v1.EphemeralVolumeSource", 28),
    ("io.k8s.api.core.v1.Event", 1),
    ("io.k8s.api.core.v1.LimitRange", 1),
    ("io.k8s.api.core.v1.Namespace", 2),
    ("io.k8s.api.core.v1.NamespaceStatus", 14),
    ("io.k8s.api.core.v1.Node", 8),
    ("io.k8s.api.core.v1.NodeSpec", 18),
    ("io.k8s.api.core.v1.NodeStatus", 19),
    ("io.k8s.api.core.v1.PersistentVolume", 1),
    ("io.k8s.api.core.v1.PersistentVolumeClaim", 2),
    ("io.k8s.api.core.v1.PersistentVolumeClaimStatus", 14),
    ("io.k8s.api.core.v1.PersistentVolumeClaimTemplate", 1),
    ("io.k8s.api.core.v1.Pod", 9),
    ("io.k8s.api.core.v1.PodSpec", 20),
    ("io.k8s.api.core.v1.PodStatus", 21),
    ("io.k8s.api.core.v1.PodTemplate", 10),
    ("io.k8s.api.core.v1.PodTemplateSpec", 22),
    ("io.k8s.api.core.v1.ReplicationController", 3),
    ("io.k8s.api.core.v1.ReplicationControllerSpec", 15),
    ("io.k8s.api.core.v1.ReplicationControllerStatus", 14),
    ("io.k8s.api.core.v1.ResourceQuota", 1),
    ("io.k8s.api.core.v1.Secret", 1),
    ("io.k8s.api.core.v1.Service", 11),
    ("io.k8s.api.core.v1.ServiceAccount", 12),
    ("io.k8s.api.core.v1.ServiceSpec", 23),
    ("io.k8s.api.core.v1.ServiceStatus", 14),
    ("io.k8s.api.core.v1.Volume", 27),
    ("io.k8s.api.discovery.v1.EndpointSlice", 1),
    ("io.k8s.api.discovery.v1beta1.EndpointSlice", 1),
    ("io.k8s.api.events.v1.Event", 1),
    ("io.k8s.api.events.v1beta1.Event", 1),
    ("io.k8s.api.extensions.v1beta1.Ingress", 1),
    ("io.k8s.api.flowcontrol.v1beta1.FlowSchema", 1),
    (
        "io.k8s.api.flowcontrol.v1beta1.PriorityLevelConfiguration",
        1,
    ),
    ("io.k8s.api.networking.v1.Ingress", 1),
    ("io.k8s.api.networking.v1.IngressClass", 1),
    ("io.k8s.api.networking.v1.NetworkPolicy", 1),
    ("io.k8s.api.networking.v1beta1.Ingress", 1),
    ("io.k8s.api.networking.v1beta1.IngressClass", 1),
    ("io.k8s.api.node.v1.RuntimeClass", 1),
    ("io.k8s.api.node.v1beta1.RuntimeClass", 1),
    ("io.k8s.api.policy.v1.PodDisruptionBudget", 2),
    ("io.k8s.api.policy.v1.PodDisruptionBudgetStatus", 14),
    ("io.k8s.api.policy.v1beta1.Eviction", 1),
    ("io.k8s.api.policy.v1beta1.PodDisruptionBudget", 2),
    ("io.k8s.api.policy.v1beta1.PodDisruptionBudgetStatus", 14),
    ("io.k8s.api.policy.v1beta1.PodSecurityPolicy", 1),
    ("io.k8s.api.rbac.v1.ClusterRole", 1),
    ("io.k8s.api.rbac.v1.ClusterRoleBinding", 1),
    ("io.k8s.api.rbac.v1.Role", 1),
    ("io.k8s.api.rbac.v1.RoleBinding", 1),
    ("io.k8s.api.rbac.v1beta1.ClusterRole", 1),
    ("io.k8s.api.rbac.v1beta1.ClusterRoleBinding", 1),
    ("io.k8s.api.rbac.v1beta1.Role", 1),
    ("io.k8s.api.rbac.v1beta1.RoleBinding", 1),
    ("io.k8s.api.scheduling.v1.PriorityClass", 1),
    ("io.k8s.api.scheduling.v1beta1.PriorityClass", 1),
    ("io.k8s.api.storage.v1.CSIDriver", 1),
    ("io.k8s.api.storage.v1.CSINode", 6),
    ("io.k8s.api.storage.v1.CSINodeSpec", 17),
    ("io.k8s.api.storage.v1.StorageClass", 1),
    ("io.k8s.api.storage.v1.VolumeAttachment", 1),
    ("io.k8s.api.storage.v1beta1.CSIDriver", 1),
    ("io.k8s.api.storage.v1beta1.CSINode", 6),
    ("io.k8s.api.storage.v1beta1.CSINodeSpec", 17),
    ("io.k8s.api.storage.v1beta1.CSIStorageCapacity", 1),
    ("io.k8s.api.storage.v1beta1.StorageClass", 1),
    ("io.k8s.api.storage.v1beta1.VolumeAttachment", 1),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        1,
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.CustomResourceDefinition",
        1,
    ),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", 13),
    (
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
        2,
    ),
    (
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceStatus",
        14,
    ),
    (
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1beta1.APIService",
        2,
    ),
    (
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1beta1.APIServiceStatus",
        14,
    ),
];
