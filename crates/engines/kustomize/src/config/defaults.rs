//! The fields the built-in transformers change where a kustomization says nothing else.
//!
//! Flat data: group, version, kind (empty matches all), path, whether the field is created.
//!
//! **Source:** kustomize api v0.21.1, its default transformer configuration.

/// One field: group, version, kind, path, create.
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str, bool);
/// A kind that holds the spec of a pod, and where: version, kind, path.
type Pod = (&'static str, &'static str, &'static str);
/// What is referred to, and the fields that refer to it.
pub(super) struct Reference {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) fields: &'static [Fields],
}
/// Some fields.
pub(super) enum Fields {
    /// One by one.
    Rows(&'static [Row]),
    /// The same ones of every pod; none is created.
    OfPods(&'static [Pod], &'static [&'static str]),
}

impl Fields {
    /// Calls `note` with group, version, kind, path and whether the field is created, one by one.
    pub(super) fn each(&self, mut note: impl FnMut(&str, &str, &str, &str, bool)) {
        match self {
            Self::Rows(rows) => rows
                .iter()
                .for_each(|(group, version, kind, path, create)| {
                    note(group, version, kind, path, *create);
                }),
            Self::OfPods(pods, paths) => {
                for (version, kind, pod) in *pods {
                    for path in *paths {
                        note("", version, kind, &format!("{pod}/{path}"), false);
                    }
                }
            }
        }
    }
}

/// The pods in which names of settings are followed.
#[rustfmt::skip]
const WITH_SETTINGS: &[Pod] = &[
    ("v1", "Pod", "spec"),
    ("", "PodTemplate", "template/spec"),
    ("", "Deployment", "spec/template/spec"),
    ("", "ReplicaSet", "spec/template/spec"),
    ("", "DaemonSet", "spec/template/spec"),
    ("", "StatefulSet", "spec/template/spec"),
    ("", "Job", "spec/template/spec"),
    ("", "CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// The pods in which other names are followed.
#[rustfmt::skip]
const WORKLOADS: &[Pod] = &[
    ("", "Pod", "spec"),
    ("", "StatefulSet", "spec/template/spec"),
    ("", "Deployment", "spec/template/spec"),
    ("", "ReplicationController", "spec/template/spec"),
    ("", "CronJob", "spec/jobTemplate/spec/template/spec"),
    ("", "Job", "spec/template/spec"),
    ("", "DaemonSet", "spec/template/spec"),
];

/// The pods in which variables are replaced.
#[rustfmt::skip]
const WITH_VARIABLES: &[Pod] = &[
    ("", "CronJob", "spec/jobTemplate/spec/template/spec"),
    ("", "DaemonSet", "spec/template/spec"),
    ("", "Deployment", "spec/template/spec"),
    ("", "Job", "spec/template/spec"),
    ("", "Pod", "spec"),
    ("", "ReplicaSet", "spec/template/spec"),
    ("", "StatefulSet", "spec/template/spec"),
];

/// Names that prefixes and suffixes go on.
#[rustfmt::skip]
pub(super) const NAME: &[Row] = &[
    ("", "", "", "metadata/name", false),
];

/// Fields that hold a namespace, besides `metadata/namespace`.
#[rustfmt::skip]
pub(super) const NAMESPACE: &[Row] = &[
    ("", "", "Namespace", "metadata/name", true),
    ("apiregistration.k8s.io", "", "APIService", "spec/service/namespace", true),
    ("apiextensions.k8s.io", "", "CustomResourceDefinition", "spec/conversion/webhook/clientConfig/service/namespace", false),
];

/// Labels and selectors of `commonLabels`.
#[rustfmt::skip]
pub(super) const COMMON_LABELS: &[Row] = &[
    ("", "v1", "Service", "spec/selector", true),
    ("", "v1", "ReplicationController", "spec/selector", true),
    ("", "", "Deployment", "spec/selector/matchLabels", true),
    ("apps", "", "Deployment", "spec/template/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels", false),
    ("apps", "", "Deployment", "spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels", false),
    ("apps", "", "Deployment", "spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels", false),
    ("apps", "", "Deployment", "spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels", false),
    ("apps", "", "Deployment", "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels", false),
    ("", "", "ReplicaSet", "spec/selector/matchLabels", true),
    ("", "", "DaemonSet", "spec/selector/matchLabels", true),
    ("apps", "", "StatefulSet", "spec/selector/matchLabels", true),
    ("apps", "", "StatefulSet", "spec/template/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels", false),
    ("apps", "", "StatefulSet", "spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels", false),
    ("apps", "", "StatefulSet", "spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels", false),
    ("apps", "", "StatefulSet", "spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels", false),
    ("apps", "", "StatefulSet", "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels", false),
    ("batch", "", "Job", "spec/selector/matchLabels", false),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/selector/matchLabels", false),
    ("policy", "", "PodDisruptionBudget", "spec/selector/matchLabels", false),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/podSelector/matchLabels", false),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/ingress/from/podSelector/matchLabels", false),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/egress/to/podSelector/matchLabels", false),
    ("", "", "", "metadata/labels", true),
    ("", "v1", "ReplicationController", "spec/template/metadata/labels", true),
    ("", "", "Deployment", "spec/template/metadata/labels", true),
    ("", "", "ReplicaSet", "spec/template/metadata/labels", true),
    ("", "", "DaemonSet", "spec/template/metadata/labels", true),
    ("apps", "", "StatefulSet", "spec/template/metadata/labels", true),
    ("apps", "", "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true),
    ("batch", "", "Job", "spec/template/metadata/labels", true),
    ("batch", "", "CronJob", "spec/jobTemplate/metadata/labels", true),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/labels", true),
];

/// Labels of templates.
#[rustfmt::skip]
pub(super) const TEMPLATE_LABELS: &[Row] = &[
    ("", "", "", "metadata/labels", true),
    ("", "v1", "ReplicationController", "spec/template/metadata/labels", true),
    ("", "", "Deployment", "spec/template/metadata/labels", true),
    ("", "", "ReplicaSet", "spec/template/metadata/labels", true),
    ("", "", "DaemonSet", "spec/template/metadata/labels", true),
    ("apps", "", "StatefulSet", "spec/template/metadata/labels", true),
    ("apps", "", "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true),
    ("batch", "", "Job", "spec/template/metadata/labels", true),
    ("batch", "", "CronJob", "spec/jobTemplate/metadata/labels", true),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/labels", true),
];

/// Annotations of `commonAnnotations`.
#[rustfmt::skip]
pub(super) const ANNOTATIONS: &[Row] = &[
    ("", "", "", "metadata/annotations", true),
    ("", "v1", "ReplicationController", "spec/template/metadata/annotations", true),
    ("", "", "Deployment", "spec/template/metadata/annotations", true),
    ("", "", "ReplicaSet", "spec/template/metadata/annotations", true),
    ("", "", "DaemonSet", "spec/template/metadata/annotations", true),
    ("", "", "StatefulSet", "spec/template/metadata/annotations", true),
    ("batch", "", "Job", "spec/template/metadata/annotations", true),
    ("batch", "", "CronJob", "spec/jobTemplate/metadata/annotations", true),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/annotations", true),
];

/// Fields in which variables are replaced.
#[rustfmt::skip]
pub(super) const VAR_REFERENCE: &[Fields] = &[
    Fields::OfPods(WITH_VARIABLES, &[
        "containers/args",
        "containers/command",
        "containers/env/value",
        "containers/volumeMounts/mountPath",
        "initContainers/args",
        "initContainers/command",
        "initContainers/env/value",
        "initContainers/volumeMounts/mountPath",
    ]),
    Fields::Rows(&[
        // Upstream forgets the `spec` of the pod.
        ("", "", "CronJob", "spec/jobTemplate/spec/template/volumes/nfs/server", false),
        ("", "", "DaemonSet", "spec/template/spec/volumes/nfs/server", false),
        ("", "", "Deployment", "spec/template/spec/volumes/nfs/server", false),
        ("", "", "Deployment", "spec/template/metadata/annotations", false),
        ("", "", "Ingress", "spec/rules/host", false),
        ("", "", "Ingress", "spec/tls/hosts", false),
        ("", "", "Ingress", "spec/tls/secretName", false),
        ("", "", "Job", "spec/template/spec/volumes/nfs/server", false),
        ("", "", "Pod", "spec/volumes/nfs/server", false),
        ("", "", "ReplicaSet", "spec/template/spec/volumes/nfs/server", false),
        ("", "", "Service", "spec/ports/port", false),
        ("", "", "Service", "spec/ports/targetPort", false),
        ("", "", "StatefulSet", "spec/volumeClaimTemplates/spec/nfs/server", false),
        ("", "", "PersistentVolume", "spec/nfs/server", false),
        ("", "", "", "metadata/labels", false),
        ("", "", "", "metadata/annotations", false),
    ]),
];

/// Fields that name an image.
#[rustfmt::skip]
pub(super) const IMAGES: &[Row] = &[
    ("", "", "", "spec/containers[]/image", true),
    ("", "", "", "spec/initContainers[]/image", true),
    ("", "", "", "spec/volumes[]/image/reference", true),
    ("", "", "", "spec/template/spec/containers[]/image", true),
    ("", "", "", "spec/template/spec/initContainers[]/image", true),
    ("", "", "", "spec/template/spec/volumes[]/image/reference", true),
];

/// Fields that hold a number of replicas.
#[rustfmt::skip]
pub(super) const REPLICAS: &[Row] = &[
    ("", "", "Deployment", "spec/replicas", true),
    ("", "", "ReplicationController", "spec/replicas", true),
    ("", "", "ReplicaSet", "spec/replicas", true),
    ("", "", "StatefulSet", "spec/replicas", true),
];

/// Which fields name which objects.
#[rustfmt::skip]
pub(super) const NAME_REFERENCE: &[Reference] = &[
    Reference { group: "", version: "", kind: "Deployment", fields: &[
        Fields::Rows(&[
            ("", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name", false),
        ]),
    ] },
    Reference { group: "", version: "", kind: "ReplicationController", fields: &[
        Fields::Rows(&[
            ("", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name", false),
        ]),
    ] },
    Reference { group: "", version: "", kind: "ReplicaSet", fields: &[
        Fields::Rows(&[
            ("", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name", false),
        ]),
    ] },
    Reference { group: "", version: "", kind: "StatefulSet", fields: &[
        Fields::Rows(&[
            ("", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name", false),
        ]),
    ] },
    Reference { group: "", version: "v1", kind: "ConfigMap", fields: &[
        Fields::OfPods(WITH_SETTINGS, &[
            "volumes/configMap/name",
            "containers/env/valueFrom/configMapKeyRef/name",
            "initContainers/env/valueFrom/configMapKeyRef/name",
            "containers/envFrom/configMapRef/name",
            "initContainers/envFrom/configMapRef/name",
            "volumes/projected/sources/configMap/name",
        ]),
        Fields::Rows(&[
            ("", "", "Node", "spec/configSource/configMap", false),
            ("", "", "Role", "rules/resourceNames", false),
            ("", "", "ClusterRole", "rules/resourceNames", false),
            ("", "", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap", false),
        ]),
    ] },
    Reference { group: "", version: "v1", kind: "Secret", fields: &[
        Fields::OfPods(WITH_SETTINGS, &[
            "volumes/secret/secretName",
            "containers/env/valueFrom/secretKeyRef/name",
            "initContainers/env/valueFrom/secretKeyRef/name",
            "containers/envFrom/secretRef/name",
            "initContainers/envFrom/secretRef/name",
            "imagePullSecrets/name",
            "volumes/projected/sources/secret/name",
        ]),
        Fields::Rows(&[
            ("", "", "Ingress", "spec/tls/secretName", false),
            ("", "", "Ingress", "metadata/annotations/ingress.kubernetes.io\\/auth-secret", false),
            ("", "", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret", false),
            ("", "", "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret", false),
            ("", "", "ServiceAccount", "imagePullSecrets/name", false),
            ("", "", "StorageClass", "parameters/secretName", false),
            ("", "", "StorageClass", "parameters/adminSecretName", false),
            ("", "", "StorageClass", "parameters/userSecretName", false),
            ("", "", "StorageClass", "parameters/secretRef", false),
            ("", "", "Role", "rules/resourceNames", false),
            ("", "", "ClusterRole", "rules/resourceNames", false),
            ("serving.knative.dev", "v1", "Service", "spec/template/spec/containers/env/valueFrom/secretKeyRef/name", false),
            ("", "", "PersistentVolume", "spec/azureFile/secretName", false),
        ]),
    ] },
    Reference { group: "", version: "v1", kind: "Service", fields: &[
        Fields::Rows(&[
            ("apps", "", "StatefulSet", "spec/serviceName", false),
            ("", "", "Ingress", "spec/rules/http/paths/backend/serviceName", false),
            ("", "", "Ingress", "spec/backend/serviceName", false),
            ("", "", "Ingress", "spec/rules/http/paths/backend/service/name", false),
            ("", "", "Ingress", "spec/defaultBackend/service/name", false),
            ("apiregistration.k8s.io", "", "APIService", "spec/service/name", false),
            ("admissionregistration.k8s.io", "", "ValidatingWebhookConfiguration", "webhooks/clientConfig/service", false),
            ("admissionregistration.k8s.io", "", "MutatingWebhookConfiguration", "webhooks/clientConfig/service", false),
        ]),
    ] },
    Reference { group: "rbac.authorization.k8s.io", version: "", kind: "Role", fields: &[
        Fields::Rows(&[
            ("rbac.authorization.k8s.io", "", "RoleBinding", "roleRef/name", false),
        ]),
    ] },
    Reference { group: "rbac.authorization.k8s.io", version: "", kind: "ClusterRole", fields: &[
        Fields::Rows(&[
            ("rbac.authorization.k8s.io", "", "RoleBinding", "roleRef/name", false),
            ("rbac.authorization.k8s.io", "", "ClusterRoleBinding", "roleRef/name", false),
        ]),
    ] },
    Reference { group: "", version: "v1", kind: "ServiceAccount", fields: &[
        Fields::OfPods(WORKLOADS, &[
            "serviceAccountName",
        ]),
        Fields::Rows(&[
            ("rbac.authorization.k8s.io", "", "RoleBinding", "subjects", false),
            ("rbac.authorization.k8s.io", "", "ClusterRoleBinding", "subjects", false),
        ]),
    ] },
    Reference { group: "", version: "v1", kind: "PersistentVolumeClaim", fields: &[
        Fields::OfPods(WORKLOADS, &[
            "volumes/persistentVolumeClaim/claimName",
        ]),
    ] },
    Reference { group: "", version: "v1", kind: "PersistentVolume", fields: &[
        Fields::Rows(&[
            ("", "", "PersistentVolumeClaim", "spec/volumeName", false),
            ("", "", "ClusterRole", "rules/resourceNames", false),
        ]),
    ] },
    Reference { group: "storage.k8s.io", version: "v1", kind: "StorageClass", fields: &[
        Fields::Rows(&[
            ("", "", "PersistentVolume", "spec/storageClassName", false),
            ("", "", "PersistentVolumeClaim", "spec/storageClassName", false),
            ("", "", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName", false),
        ]),
    ] },
    Reference { group: "scheduling.k8s.io", version: "v1", kind: "PriorityClass", fields: &[
        Fields::OfPods(WORKLOADS, &[
            "priorityClassName",
        ]),
    ] },
    Reference { group: "networking.k8s.io/v1", version: "v1", kind: "IngressClass", fields: &[
        Fields::Rows(&[
            ("", "", "Ingress", "spec/ingressClassName", false),
        ]),
    ] },
    Reference { group: "admissionregistration.k8s.io", version: "", kind: "ValidatingAdmissionPolicy", fields: &[
        Fields::Rows(&[
            ("admissionregistration.k8s.io", "", "ValidatingAdmissionPolicyBinding", "spec/policyName", false),
        ]),
    ] },
];
