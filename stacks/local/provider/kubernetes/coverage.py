"""What of Kubernetes is real in the environment `local`, and what is not."""

COVERED = {
    "objects": "an API server of Kubernetes 1.34: admission, quotas, priorities, roles; an update "
    "does not wait until a workload is ready",
    "access": "tokens of `aws eks get-token` are verified as EKS does, access entries say who "
    "comes in, and a table of AWS's access policies (View, Edit, Admin, AdminView, ClusterAdmin) or "
    "Kubernetes' own roles what they may do; node entries want an EC2 instance of that id",
    "access that is not decided": "aws-auth ConfigMap (a cluster of mode CONFIG_MAP lets its "
    "creator in and nobody else), OIDC identity providers, access policies of EKS Auto Mode and of other "
    "services (they allow nothing), IAM's eks:AccessKubernetesApi of the console, and pods' "
    "credentials by Pod Identity",
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
