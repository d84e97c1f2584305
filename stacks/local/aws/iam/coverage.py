"""What IAM decides in the local cloud and what it does not, for `plinth coverage`."""

from collections.abc import Mapping

DECIDED: Mapping[str, str] = {
    "who": (
        "sessions of roles and IAM users with their groups; jobs, servers, functions, "
        "pipelines, MLflow and pipelines that events start carry the session of their role"
    ),
    "policies": (
        "identity, boundary, session, VPC endpoint of what has a VpcConfig, and of buckets, "
        "keys with grants, topics, queues, functions, repositories, secrets, package groups"
    ),
    "trust": (
        "AssumeRole with its conditions; a role given to SageMaker jobs, an endpoint, a "
        "function, a pipeline or a target of an event"
    ),
    "passing": (
        "iam:PassRole of whoever gives a service a role, by any member that ends with Role"
    ),
    "keys": "kms:GenerateDataKey and kms:Decrypt through S3, by the key of object or bucket",
    "context": (
        "global keys, tags of the request, of roles and of SageMaker's resources, members of "
        "the request that have the name of a key; others count as not decided where they "
        "matter"
    ),
}
"""Part -> what of it."""

NOT_DECIDED: Mapping[str, str] = {
    "the home's own keys": (
        "their holder is a deployer whom IAM allows everything; only policies of buckets and "
        "trust bind them"
    ),
    "nodes and pods": ("no instance and no pod gets credentials (instance profiles, Pod Identity)"),
    "AssumeRoleWithWebIdentity, AssumeRoleWithSAML": "no token is verified, so nobody is one",
    "services by themselves": (
        "events to functions, topics and queues, alarms to topics, streams read for functions, "
        "logs of services, schedules that fire"
    ),
    "keys through other services": (
        "DynamoDB, SQS, SNS, Kinesis, Secrets Manager, EBS and SageMaker ask KMS nothing"
    ),
    "objects that are not there": "S3 answers 404 also to who may not list, AWS 403",
    "roles that Lambda, CreateModel or CreatePipeline name": (
        "their trust is asked when they are used, where AWS asks when they are named"
    ),
    "a VPC without an endpoint": "whether a request has a way out at all",
    "tags of resources": "of services other than SageMaker and IAM's roles",
    "operations without a model": (
        "a request that moto cannot read by a service model; MLflow's API"
    ),
    "Lake Formation, Block Public Access, ACLs of objects": "beside IAM; nothing asks them",
}
"""What is allowed without a decision -> why."""
