"""Names of inputs that say what a type of AWS is, whatever the service."""

from __future__ import annotations

import re
from collections.abc import Mapping

BY_NAME: Mapping[str, re.Pattern[str]] = {
    "state": re.compile(
        r"retention|backup|snapshot|deletionprotect|terminationprotect|deletewithoutprotect"
        r"|forcedestroy|forcedelete|pointintime|versioning|recoverywindow|objectlock|archiv"
        r"|kms|encrypt|secretstring|storage(type|size|capacity|encrypted|config)|volume|bucket"
    ),
    "grants": re.compile(
        r"policy$|policies$|policydocument|principal|grantee|permission|trust|assumerole|accesskey"
        r"|allowedaccount|accountids?$|shared?with|organizationid"
    ),
    "opens": re.compile(
        r"cidr|publicly|publicaccess|publicip|internet|ingress|egress|^scheme$|authorizationtype"
        r"|authtype|authorizer|endpointtype|endpointconfiguration|allowlist|whitelist|ipset"
        r"|networkaccess|sourceip|securitygroup|subnet|vpcconfig|listener|alloworigin|cors"
    ),
    "records": re.compile(
        r"logging|logs?config|logpublishing|loggroup|auditlog|recording|eventdata"
    ),
    "runs": re.compile(
        r"^image|imageuri|runtime|^code$|handler|command|userdata|containers?$|containerdefinition"
        r"|definition(body|string|s3)?$|^script|scriptlocation|entrypoint|jobtype"
    ),
    "costs": re.compile(
        r"instancetype|instanceclass|instancecount|nodetype|numberofnodes|capacityunit|provisioned"
        r"|desiredcapacity|desiredcount|maxsize|minsize|maxcapacity|mincapacity|readcapacity"
    ),
}
"""Kind -> names of inputs, at any depth and in lower case, that only such a type has a use for."""
