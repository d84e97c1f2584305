"""What of Kubernetes is real in the environment `local`, and what is not."""

COVERED = {
    "objects": "an API server of Kubernetes 1.34: admission, quotas, priorities, roles; an update "
    "does not wait until a workload is ready",
    "access": "tokens of `aws eks get-token` are verified as on EKS; access entries and the "
    "ConfigMap aws-auth say who comes in, AWS's access policies (View, Edit, Admin, AdminView, "
    "ClusterAdmin) and Kubernetes' own roles what they may do; an entry of nodes wants an EC2 "
    "instance of the session's name",
    "credentials of pods": "tokens of service accounts are worth roles: by Pod Identity "
    "(AssumeRoleForPodIdentity, with its session tags) and by the cluster's OIDC issuer "
    "(AssumeRoleWithWebIdentity); no agent and no webhook hands them to a pod, for none runs",
    "access that is not decided": "OIDC identity providers of people, lines that EKS adds to "
    "aws-auth for nodes, access policies of EKS Auto Mode and of other services (they allow "
    "nothing), eks:AccessKubernetesApi of the console, target roles of Pod Identity (refused)",
    "scheduling": "the real scheduler and controllers: taints, affinities, preemption, eviction",
    "nodes": "of EKS node groups, with what EC2 says of their instance types; kwok plays the "
    "kubelets and the device plugins",
    "pods": "bound pods are Running, but no container runs; the pod of a Job completes only with "
    "the annotation pod-complete.stage.kwok.x-k8s.io/delay",
    "clocks": "a silent node is not ready after 12 s (EKS: 50 s), its pods go after 5 s (300 s)",
    "custom resources": "kept as they are where their definition is missing: no operator "
    "reconciles them, and `plinth status local` lists them",
    "Helm releases": "recorded with chart, version and values: nothing is installed",
    "without a control plane": "objects are checked against the schemas of Kubernetes 1.34 and "
    "recorded; `plinth toolchain kubernetes` builds one",
}
"""Part -> what it really does."""
