"""The CrossGuard pack: `pulumi up --policy-pack policies`."""

from pulumi_policy import PolicyPack

from policies.pack import Pack, configuration
from policies.rules import RULES

PolicyPack("plinth", policies=Pack(RULES, configuration()).policies())
