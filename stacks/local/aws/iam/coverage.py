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
        "AssumeRole with its conditions and session tags; AssumeRoleWithWebIdentity by tokens of "
        "the cluster's service accounts and of issuers in local.yaml; a role given to SageMaker "
        "jobs, a model, a pipeline, a function, a schedule, a target of an event, an EKS cluster "
        "or its nodes: when it is named"
    ),
    "passing": (
        "iam:PassRole of whoever gives a service a role, by any member that ends with Role "
        "and an ARN, and by name to a cluster of EMR"
    ),
    "keys": (
        "kms:GenerateDataKey and kms:Decrypt through S3, SQS, SNS, Kinesis, Secrets Manager and "
        "the online stores of feature groups; the environment of functions; volumes of jobs and "
        "endpoints"
    ),
    "services as roles": (
        "schedules that fire, streams read for functions, records given up and failed events sent "
        "to queues, logs of functions and jobs (counted alone), alarms of updates, a function's "
        "interfaces in a VPC"
    ),
    "tags": "sagemaker:AddTags of whoever makes something of SageMaker's with tags",
    "nodes": (
        "a group's nodes join where their role may describe instances and fetch images, and the "
        "network plugin's role, or else theirs, assign addresses"
    ),
    "simulator": (
        "SimulatePrincipalPolicy and SimulateCustomPolicy by the evaluator that decides here, and "
        "the keys that policies ask for; without PolicyExclusionList and ResourceHandlingOption"
    ),
    "objects that are not there": "403 to who may not list the bucket, 404 to who may",
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
    "nodes": "no instance gets credentials by its profile; only whether a group's nodes may join",
    "pods": (
        "no container of a pod runs; whoever has a token of its service account gets its role"
    ),
    "AssumeRoleWithSAML": "no assertion is verified, so nobody is one",
    "services by themselves": (
        "events to functions, topics and queues, alarms to topics, logs of services without a role"
    ),
    "keys through other services": "DynamoDB, EBS, EFS and CloudWatch Logs ask KMS nothing",
    "s3:prefix of an object that is not there": (
        "AWS does not say what it holds then; a role that may list some prefixes is allowed"
    ),
    "a VPC without an endpoint": "whether a request has a way out at all",
    "tags of resources": "of services other than SageMaker and IAM's roles",
    "operations without a model": (
        "a request that moto cannot read by a service model; MLflow asked with its password, as a "
        "person's browser does"
    ),
    "Lake Formation, RestrictPublicBuckets, ACLs of objects": "beside IAM; nothing asks them",
}
"""What is allowed without a decision -> why."""
