"""Inputs that make one resource of every type the local provider serves, and one change each.

Every module beside this one that has `CASES` is part of them.
"""

import pkgutil
from importlib import import_module

from tests.stacks.local import provider_cases
from tests.stacks.local.provider_cases.case import (
    ALLOW,
    BUCKET,
    CLUSTER,
    GROUP,
    KEY,
    PIPELINE,
    REPOSITORY,
    RETAGGED,
    ROLE,
    ROUTES,
    SUBNET,
    TAGS,
    TEMPLATE,
    TOPIC,
    TRUST,
    TRUSTS,
    VPC,
    Case,
    Ref,
)

CASES: dict[str, Case] = {
    "aws:cloudwatch/logGroup:LogGroup": Case(
        inputs={"name": "/plinth/logs", "retentionInDays": 7, "tags": TAGS},
        change={"tags": RETAGGED},
        drop=("retentionInDays",),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Case(
        inputs={
            "name": "plinth-latency",
            "namespace": "AWS/SageMaker",
            "metricName": "ModelLatency",
            "extendedStatistic": "p99",
            "threshold": 500,
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "period": 60,
            "evaluationPeriods": 2,
            "dimensions": {"EndpointName": "e", "VariantName": "v"},
            "alarmActions": [Ref(TOPIC, "arn")],
            "tags": TAGS,
        },
        change={"threshold": 750.5, "tags": RETAGGED},
    ),
    TEMPLATE: Case(
        inputs={
            "name": "plinth-nodes",
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "ebs": {"volumeSize": 50, "encrypted": "true", "volumeType": "gp3"},
                }
            ],
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b"}}],
            "updateDefaultVersion": True,
            "tags": TAGS,
        },
        change={"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}},
    ),
    ROUTES: Case(inputs={"vpcId": Ref(VPC), "tags": TAGS}, change={"tags": RETAGGED}),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Case(
        inputs={"subnetId": Ref(SUBNET), "routeTableId": Ref(ROUTES)},
        change={"routeTableId": "rtb-other"},
        replaces=True,
    ),
    GROUP: Case(
        inputs={"name": "plinth", "description": "Workers", "vpcId": Ref(VPC), "tags": TAGS},
        change={"description": "Other"},
        replaces=True,
    ),
    SUBNET: Case(
        inputs={
            "vpcId": Ref(VPC),
            "cidrBlock": "10.0.1.0/24",
            "availabilityZone": "us-east-1a",
            "tags": TAGS,
        },
        change={"mapPublicIpOnLaunch": True, "tags": RETAGGED},
    ),
    VPC: Case(
        inputs={"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True, "tags": TAGS},
        change={"tags": RETAGGED},
        drop=("enableDnsHostnames",),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Case(
        inputs={
            "vpcId": Ref(VPC),
            "serviceName": "com.amazonaws.us-east-1.sagemaker.api",
            "vpcEndpointType": "Interface",
            "subnetIds": [Ref(SUBNET)],
            "securityGroupIds": [Ref(GROUP)],
            "privateDnsEnabled": True,
            "tags": TAGS,
        },
        change={"tags": RETAGGED, "policy": ALLOW % "sagemaker:*"},
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Case(
        inputs={
            "repository": Ref(REPOSITORY, "name"),
            "policy": '{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", '
            '"countType": "imageCountMoreThan", "countNumber": 9}, "action": {"type": "expire"}}]}',
        },
        change={
            "policy": '{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", '
            '"countType": "imageCountMoreThan", "countNumber": 5}, "action": {"type": "expire"}}]}',
        },
    ),
    REPOSITORY: Case(
        inputs={
            "name": "plinth/serving",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": Ref(KEY, "arn")}],
            "forceDelete": True,
            "tags": TAGS,
        },
        change={"imageTagMutability": "MUTABLE", "tags": RETAGGED},
    ),
    CLUSTER: Case(
        inputs={
            "name": "plinth",
            "version": "1.34",
            "roleArn": Ref(ROLE, "arn"),
            "enabledClusterLogTypes": ["api", "audit"],
            "accessConfig": {"authenticationMode": "API"},
            "encryptionConfig": {"provider": {"keyArn": Ref(KEY, "arn")}, "resources": ["secrets"]},
            "vpcConfig": {"subnetIds": [Ref(SUBNET)], "endpointPrivateAccess": True},
            "tags": TAGS,
        },
        change={"enabledClusterLogTypes": ["api"], "tags": RETAGGED},
    ),
    "aws:eks/nodeGroup:NodeGroup": Case(
        inputs={
            "clusterName": Ref(CLUSTER, "name"),
            "nodeGroupName": "system",
            "nodeRoleArn": Ref(ROLE, "arn"),
            "subnetIds": [Ref(SUBNET)],
            "instanceTypes": ["m6i.large"],
            "launchTemplate": {"id": Ref(TEMPLATE), "version": "1"},
            "scalingConfig": {"minSize": 1, "desiredSize": 1, "maxSize": 3},
            "labels": {"pool": "system"},
            "taints": [{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}],
            "tags": TAGS,
        },
        change={
            "labels": {"tier": "system"},
            "scalingConfig": {"minSize": 1, "desiredSize": 2, "maxSize": 3},
        },
        after=("aws:iam/rolePolicy:RolePolicy",),
    ),
    ROLE: Case(
        inputs={
            "name": "plinth-job",
            "assumeRolePolicy": TRUSTS,
            "description": "Jobs",
            "tags": TAGS,
        },
        change={"assumeRolePolicy": TRUST % "eks", "tags": RETAGGED},
        drop=("description",),
    ),
    "aws:iam/rolePolicy:RolePolicy": Case(
        inputs={"name": "read", "role": Ref(ROLE, "name"), "policy": ALLOW % "*"},
        change={"policy": ALLOW % "s3:List*"},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Case(
        inputs={
            "role": Ref(ROLE, "name"),
            "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
        },
        change={"policyArn": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"},
        replaces=True,
    ),
    "aws:kms/alias:Alias": Case(
        inputs={"name": "alias/plinth", "targetKeyId": Ref(KEY, "keyId")},
        change={"name": "alias/other"},
        replaces=True,
    ),
    KEY: Case(
        inputs={
            "description": "storage",
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "policy": ALLOW.replace('"Action"', '"Principal": "*", "Action"') % "kms:*",
            "tags": TAGS,
        },
        change={"description": "store", "enableKeyRotation": False, "tags": RETAGGED},
    ),
    BUCKET: Case(
        inputs={
            "bucket": "plinth-test-data",
            "forceDestroy": True,
            "objectLockEnabled": True,
            "tags": TAGS,
        },
        change={"tags": RETAGGED},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "rules": [
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                    "noncurrentVersionExpiration": {"noncurrentDays": 90},
                }
            ],
        },
        change={
            "rules": [
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": "tmp/"},
                    "expiration": {"days": 3},
                }
            ]
        },
    ),
    "aws:s3/bucketLogging:BucketLogging": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "targetBucket": Ref("aws:s3/bucketPolicy:BucketPolicy", "bucket"),
            "targetPrefix": "data/",
        },
        change={"targetPrefix": "other/"},
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "key": "config/settings.json",
            "content": "{}",
            "contentType": "application/json",
            "tags": TAGS,
        },
        change={"content": '{"a": 1}', "tags": RETAGGED},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "rule": {"objectOwnership": "BucketOwnerEnforced"},
        },
        change={"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "policy": '{"Version": "2012-10-17", "Statement": [{"Sid": "AccessLogs", '
            '"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, '
            '"Action": "s3:PutObject", "Resource": "arn:aws:s3:::plinth-test-data/*"}]}',
        },
        change={
            "policy": '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", '
            '"Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::plinth-test-data/*"}]}',
        },
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
        },
        change={"ignorePublicAcls": True},
        drop=("blockPublicAcls",),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": "aws:kms",
                        "kmsMasterKeyId": Ref(KEY, "arn"),
                    },
                    "bucketKeyEnabled": True,
                }
            ],
        },
        change={
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"},
                    "bucketKeyEnabled": False,
                }
            ]
        },
        stays=True,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Case(
        inputs={
            "bucket": Ref(BUCKET, "bucket"),
            "versioningConfiguration": {"status": "Enabled"},
        },
        change={"versioningConfiguration": {"status": "Suspended"}},
        stays=True,
    ),
    TOPIC: Case(
        inputs={"name": "plinth-alarms", "kmsMasterKeyId": Ref(KEY, "arn"), "tags": TAGS},
        change={"displayName": "Alarms", "tags": RETAGGED},
        drop=("kmsMasterKeyId",),
    ),
    "aws:sns/topicPolicy:TopicPolicy": Case(
        inputs={"arn": Ref(TOPIC, "arn"), "policy": ALLOW % "sns:Publish"},
        change={"policy": ALLOW % "sns:Subscribe"},
        stays=True,
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Case(
        inputs={
            "securityGroupId": Ref(GROUP),
            "cidrIpv4": "0.0.0.0/0",
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
            "description": "HTTPS",
            "tags": TAGS,
        },
        change={"description": "TLS", "tags": RETAGGED},
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Case(
        inputs={
            "securityGroupId": Ref(GROUP),
            "referencedSecurityGroupId": Ref(GROUP),
            "ipProtocol": "-1",
            "description": "Peers",
            "tags": TAGS,
        },
        change={"description": "Workers"},
    ),
}

MODEL = "aws:sagemaker/model:Model"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"

CASES |= {
    "aws:sagemaker/endpoint:Endpoint": Case(
        inputs={
            "name": "plinth-endpoint",
            "endpointConfigName": Ref(CONFIGURATION, "name"),
            "deploymentConfig": {
                "blueGreenUpdatePolicy": {
                    "trafficRoutingConfiguration": {
                        "type": "ALL_AT_ONCE",
                        "waitIntervalInSeconds": 0,
                    },
                    "terminationWaitInSeconds": 0,
                }
            },
            "tags": TAGS,
        },
        change={"tags": RETAGGED},
        drop=("deploymentConfig",),
    ),
    CONFIGURATION: Case(
        inputs={
            "name": "plinth-configuration",
            "kmsKeyArn": Ref(KEY, "arn"),
            "productionVariants": [
                {
                    "variantName": "champion",
                    "modelName": Ref(MODEL, "name"),
                    "instanceType": "ml.m5.large",
                    "initialInstanceCount": 1,
                    "initialVariantWeight": 1,
                    "routingConfigs": [{"routingStrategy": "RANDOM"}],
                }
            ],
            "dataCaptureConfig": {
                "enableCapture": True,
                "initialSamplingPercentage": 10,
                "destinationS3Uri": "s3://plinth-test-data/capture",
                "captureOptions": [{"captureMode": "Input"}],
            },
            "tags": TAGS,
        },
        change={"kmsKeyArn": "other"},
        replaces=True,
    ),
    "aws:sagemaker/featureGroup:FeatureGroup": Case(
        inputs={
            "featureGroupName": "plinth-flights",
            "description": "Flights",
            "recordIdentifierFeatureName": "id",
            "eventTimeFeatureName": "at",
            "featureDefinitions": [
                {"featureName": "id", "featureType": "String"},
                {"featureName": "at", "featureType": "String"},
            ],
            "roleArn": "arn:aws:iam::123456789012:role/plinth-features",
            "onlineStoreConfig": {
                "enableOnlineStore": True,
                "securityConfig": {"kmsKeyId": Ref(KEY, "arn")},
            },
            "offlineStoreConfig": {
                "s3StorageConfig": {
                    "s3Uri": "s3://plinth-test-data/features",
                    "kmsKeyId": Ref(KEY, "arn"),
                },
                "disableGlueTableCreation": False,
            },
            "tags": TAGS,
        },
        change={
            "featureDefinitions": [
                {"featureName": "id", "featureType": "String"},
                {"featureName": "distance", "featureType": "Fractional"},
                {"featureName": "at", "featureType": "String"},
            ],
            "tags": RETAGGED,
        },
    ),
    "aws:sagemaker/mlflowApp:MlflowApp": Case(
        inputs={
            "name": "plinth-tracking",
            "artifactStoreUri": "s3://plinth-test-data/mlflow",
            "roleArn": Ref(ROLE, "arn"),
            "tags": TAGS,
        },
        change={"tags": RETAGGED, "modelRegistrationMode": "AutoModelRegistrationEnabled"},
    ),
    MODEL: Case(
        inputs={
            "name": "plinth-model",
            "executionRoleArn": Ref(ROLE, "arn"),
            "primaryContainer": {
                "image": "plinth-test-images:1",
                "environment": {"PATH": Ref("serve program"), "lowerCase_Kept": "1"},
            },
            "enableNetworkIsolation": True,
            "tags": TAGS,
        },
        change={"enableNetworkIsolation": False},
        replaces=True,
    ),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Case(
        inputs={
            "modelPackageGroupName": "plinth-flight-delay",
            "modelPackageGroupDescription": "Late or not",
            "tags": TAGS,
        },
        change={"tags": RETAGGED},
    ),
    "aws:sagemaker/pipeline:Pipeline": Case(
        inputs={
            "pipelineName": "plinth-training",
            "pipelineDisplayName": "plinth-training",
            "pipelineDefinition": PIPELINE % "a",
            "roleArn": Ref(ROLE, "arn"),
            "parallelismConfiguration": {"maxParallelExecutionSteps": 2},
            "tags": TAGS,
        },
        change={"pipelineDefinition": PIPELINE % "b", "tags": RETAGGED},
    ),
}

for module in pkgutil.iter_modules(provider_cases.__path__, f"{provider_cases.__name__}."):
    if module.name != __name__:
        CASES |= getattr(import_module(module.name), "CASES", {})
