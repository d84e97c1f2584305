"""Cases of what everything else stands on: routes, identities, file systems."""

from tests.stacks.local.provider_cases.case import (
    ALLOW,
    GROUP,
    KEY,
    RETAGGED,
    ROLE,
    ROUTES,
    SUBNET,
    TAGS,
    VPC,
    Case,
    Ref,
)

EIP = "aws:ec2/eip:Eip"
FILE_SYSTEM = "aws:fsx/lustreFileSystem:LustreFileSystem"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"

CASES: dict[str, Case] = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Case(
        inputs={"vpcId": Ref(VPC), "tags": TAGS}, change={"tags": RETAGGED}, stays=True
    ),
    EIP: Case(inputs={"domain": "vpc", "tags": TAGS}, change={"tags": RETAGGED}),
    "aws:ec2/flowLog:FlowLog": Case(
        inputs={
            "vpcId": Ref(VPC),
            "trafficType": "ALL",
            "logDestinationType": "cloud-watch-logs",
            "logDestination": Ref(LOG_GROUP, "arn"),
            "iamRoleArn": Ref(ROLE, "arn"),
            "maxAggregationInterval": 600,
            "tags": TAGS,
        },
        change={"trafficType": "REJECT"},
        replaces=True,
    ),
    GATEWAY: Case(inputs={"vpcId": Ref(VPC), "tags": TAGS}, change={"tags": RETAGGED}),
    "aws:ec2/natGateway:NatGateway": Case(
        inputs={"subnetId": Ref(SUBNET), "allocationId": Ref(EIP), "tags": TAGS},
        change={"tags": RETAGGED},
    ),
    "aws:ec2/route:Route": Case(
        inputs={
            "routeTableId": Ref(ROUTES),
            "destinationCidrBlock": "0.0.0.0/0",
            "gatewayId": Ref(GATEWAY),
        },
        change={"destinationCidrBlock": "10.9.0.0/16"},
        replaces=True,
    ),
    "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation": Case(
        inputs={
            "fileSystemId": Ref(FILE_SYSTEM),
            "fileSystemPath": "/data",
            "dataRepositoryPath": "s3://plinth-test-data/data",
            "s3": {"autoImportPolicy": {"events": ["NEW", "CHANGED"]}},
            "deleteDataInFilesystem": False,
            "tags": TAGS,
        },
        change={
            "s3": {"autoExportPolicy": {"events": ["NEW"]}},
            "tags": RETAGGED,
        },
    ),
    FILE_SYSTEM: Case(
        inputs={
            "deploymentType": "PERSISTENT_2",
            "storageCapacity": 1200,
            "perUnitStorageThroughput": 125,
            "dataCompressionType": "LZ4",
            "fileSystemTypeVersion": "2.15",
            "kmsKeyId": Ref(KEY, "arn"),
            "subnetIds": Ref(SUBNET),
            "securityGroupIds": [Ref(GROUP)],
            "tags": TAGS,
        },
        change={"tags": RETAGGED},
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Case(
        inputs={
            "url": "https://token.actions.githubusercontent.com",
            "clientIdLists": ["sts.amazonaws.com"],
            "tags": TAGS,
        },
        change={"tags": RETAGGED},
    ),
    "aws:iam/policy:Policy": Case(
        inputs={
            "name": "plinth-boundary",
            "description": "Limits",
            "policy": ALLOW % "s3:Get*",
            "tags": TAGS,
        },
        change={"policy": ALLOW % "s3:List*", "tags": RETAGGED},
    ),
    "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation": Case(
        inputs={"vpcId": Ref(VPC), "cidrBlock": "100.64.0.0/16"},
        change={"cidrBlock": "100.65.0.0/16"},
        replaces=True,
    ),
}
