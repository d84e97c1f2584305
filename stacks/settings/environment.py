"""What all stacks of an environment have in common: whose it is, where, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from infra.naming import Names, zone_prefix
from policies.config import Thresholds
from stacks.settings.part import Part

AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
ONE_DIGIT = re.compile(r"(\d)\1{11}")
"""An account id as this repository's files write it: nobody's, or a stranger's."""

ZoneId = Annotated[str, Field(pattern=r"^[a-z]{3,6}\d-(az|[a-z]{3}\d-az)\d$")]


class Account(Part):
    """Where the environment lives. Names and ARNs are computed from it, not looked up."""

    account_id: AccountId
    region: Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d$")]
    owner: str | None = None
    """Of environments that share the account: the one that has what an account has one of, which
    are AWS Config's recorder, the monitor of its costs and GitHub's OIDC provider. Default: this
    environment has the account for itself."""

    backend_url: Annotated[str, Field(pattern=r"^[a-z0-9]+://")] | None = None
    """Where Pulumi keeps the state of the stacks; `plinth bootstrap` writes it. Default: what the
    environment variable PULUMI_BACKEND_URL says."""


class Accounts(Part):
    """The environments that share models: one registers them, the others read from it.

    Two environments may share an account; then the account is named once where a policy lists
    readers, and not at all where it is the registry's own.
    """

    registry: str | None = None
    """Environment whose model packages, artefacts and images the others serve. Default: every
    environment serves what it registered itself."""

    environments: dict[str, AccountId] = Field(default_factory=dict)
    """Account of every environment that takes part. Default: none."""

    @model_validator(mode="after")
    def _registry_is_known(self) -> Accounts:
        if self.registry is not None and self.registry not in self.environments:
            known = ", ".join(self.environments) or "none"
            raise ValueError(
                f"registry must be one of environments ({known}), got {self.registry!r}"
            )
        return self

    def registry_names(self, names: Names) -> Names | None:
        """Names in the registry that this environment reads from; None: it reads its own."""
        if self.registry in (None, names.env):
            return None
        account_id = self.environments[str(self.registry)]
        return Names(
            env=str(self.registry),
            account_id=account_id,
            region=names.region,
            workload=names.workload,
        )

    def readers(self, names: Names) -> dict[str, list[str]]:
        """Of the registry: the environments that read from it by their account, its own left out.

        Empty for every other environment.
        """
        if self.registry != names.env:
            return {}
        found: dict[str, list[str]] = {}
        for env, account_id in sorted(self.environments.items()):
            if account_id != names.account_id:
                found.setdefault(account_id, []).append(env)
        return found


class LocalImage(Part):
    """What the local cloud runs where an image would run: it has no container engine."""

    image: str
    """Repository, without tag; `*` stands for anything, and without a registry any is meant."""

    train: tuple[str, ...] = ()
    """Command of a training job. Default: none, it is refused."""

    serve: tuple[str, ...] = ()
    """Command behind an endpoint: /ping and /invocations on the port SAGEMAKER_BIND_TO_PORT of
    127.0.0.1. Default: none, a model of it is refused."""

    process: tuple[str, ...] = ()
    """Command of a processing job that names no entrypoint. Default: none, it is refused."""

    requirements: tuple[str, ...] = ()
    """What pip installs first, for this job alone. Default: nothing."""


class TokenIssuer(Part):
    """Whose web identity tokens the local cloud can verify: it fetches nobody's keys."""

    url: str
    """As the tokens name it in `iss` and IAM in its identity provider, `https://...`."""

    jwks_file: str
    """File with its public keys, a JSON Web Key Set."""


class Tags(Part):
    """Who owns and pays for every resource of the environment."""

    owner: str
    team: str
    cost_centre: str


class Environment(Part):
    """One environment, whatever its stacks are made of."""

    name: str
    """As its file is called."""

    account: Account
    accounts: Accounts = Accounts()
    availability_zone_ids: Annotated[list[ZoneId], Field(min_length=2, max_length=6)]
    """Zones by id (`use1-az1`): a zone's name means another place in every account."""

    tags: Tags
    protect: bool = True
    """Refuse to delete what holds data. Default: protected."""

    policies: Thresholds = Thresholds()
    """What the rules and the review go by. Default: the strictest."""

    images: tuple[LocalImage, ...] = ()
    """Of the environment `local` alone: what stands for images that are not ours. Default: AWS's
    framework images in script mode, nothing else."""

    token_issuers: tuple[TokenIssuer, ...] = ()
    """Of the environment `local` alone: who else says there who somebody is. Default: the local
    cluster alone, to its service accounts."""

    @field_validator("availability_zone_ids")
    @classmethod
    def _zones_differ(cls, zones: list[str]) -> list[str]:
        if len(set(zones)) < len(zones):
            raise ValueError(f"availability_zone_ids must differ, got {zones!r}")
        return zones

    @model_validator(mode="after")
    def _zones_are_of_the_region(self) -> Environment:
        region, prefix = self.account.region, zone_prefix(self.account.region)
        others = [one for one in self.availability_zone_ids if not one.startswith(f"{prefix}-")]
        if others:
            raise ValueError(
                f"availability_zone_ids must be of {region} ({prefix}-az1, ...), got "
                f"{', '.join(others)}"
            )
        return self

    @model_validator(mode="after")
    def _tags_are_allowed(self) -> Environment:
        check_tag_values(self.tags, self.policies.tag_values)
        return self

    @model_validator(mode="after")
    def _has_one_account(self) -> Environment:
        own, shared = self.account.account_id, self.accounts.environments.get(self.name)
        if shared not in (None, own):
            raise ValueError(
                f"accounts.environments.{self.name} must be account.account_id {own!r}, "
                f"got {shared!r}"
            )
        return self

    @model_validator(mode="after")
    def _others_are_filled_in(self) -> Environment:
        """Policies trust these accounts: an id that nobody filled in may be a stranger's."""
        if is_placeholder(self.account.account_id):
            return self  # nothing of this file can be deployed
        for env, account_id in self.accounts.environments.items():
            if is_placeholder(account_id):
                raise ValueError(
                    f"accounts.environments.{env} must be an account of yours, got the "
                    f"placeholder {account_id!r}: fill it in, or delete it"
                )
        return self

    @property
    def owns_account(self) -> bool:
        """What an account has one of is this environment's."""
        return self.account.owner in (None, self.name)

    @property
    def names(self) -> Names:
        """The names of its platform."""
        account = self.account
        return Names(env=self.name, account_id=account.account_id, region=account.region)

    def default_tags(self) -> dict[str, str]:
        """What every resource carries that can be tagged."""
        return {**self.tags.model_dump(), "environment": self.name, "project": "plinth"}


def is_placeholder(account_id: str) -> bool:
    """Twelve equal digits stand where nobody has filled in an account yet."""
    return ONE_DIGIT.fullmatch(account_id) is not None


def required_tags(tags: Tags) -> tuple[str, ...]:
    """What every taggable resource carries: the environment's tags, and two of the program."""
    return tuple(sorted({*type(tags).model_fields, "environment", "project"}))


def check_tag_values(tags: Tags, allowed: Mapping[str, Sequence[str]]) -> None:
    """Values are of tags that are required, the environment's own among them; ValueError if not."""
    for tag, values in allowed.items():
        if tag not in (known := required_tags(tags)):
            raise ValueError(f"tag_values must be of {', '.join(known)}, got {tag!r}")
        own = getattr(tags, tag, None)
        if own is not None and values and own not in values:
            raise ValueError(
                f"tag_values.{tag} must have tags.{tag} among them, {own!r}, "
                f"got {', '.join(values)}"
            )
