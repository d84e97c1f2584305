"""What a full `up` makes of things that AWS names itself, so that a double would go unnoticed."""

from collections import Counter

from tests.conftest import GOLDEN, Clone


def vpcs(clone: Clone) -> int:
    found = clone.client("ec2").describe_vpcs()["Vpcs"]
    return sum(not vpc["IsDefault"] for vpc in found)


def created(clone: Clone) -> Counter[str]:
    """How many there are of things that AWS names itself, so that a double goes unnoticed."""
    ec2, kms = clone.client("ec2"), clone.client("kms")
    keys = [key["KeyId"] for key in kms.list_keys()["Keys"]]
    states = [kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys]
    return Counter(
        vpcs=vpcs(clone),
        subnets=sum(
            "plinth" in str(subnet.get("Tags")) for subnet in ec2.describe_subnets()["Subnets"]
        ),
        endpoints=sum(
            endpoint["State"] != "deleted"
            for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]
        ),
        groups=sum(
            group["GroupName"] != "default"
            for group in ec2.describe_security_groups()["SecurityGroups"]
        ),
        keys=states.count("Enabled"),
    )


ACCEPTED = Counter(
    line.split()[0]
    for line in (GOLDEN / "stacks" / "local.foundation.txt").read_text().splitlines()
)
"""The other stacks make nothing of what is counted here."""

EXPECTED = Counter(
    vpcs=ACCEPTED["aws:ec2/vpc:Vpc"],
    subnets=ACCEPTED["aws:ec2/subnet:Subnet"],
    endpoints=ACCEPTED["aws:ec2/vpcEndpoint:VpcEndpoint"],
    groups=ACCEPTED["aws:ec2/securityGroup:SecurityGroup"],
    keys=ACCEPTED["aws:kms/key:Key"],
)
