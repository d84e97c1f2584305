"""Feast: the feature store for those who do not want SageMaker's, on DynamoDB or on Valkey."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role

REGISTRY_KEY = "feast/registry.db"
CONFIGURATION_KEY = "feast/feature_store.yaml"
EXPIRY_ATTRIBUTE = "expires_at"
"""Seconds since 1970 after which DynamoDB deletes an item. Feast itself writes no such attribute;
jobs of your own that push to the tables may."""

PORT = 6379
ENGINE, ENGINE_VERSION = "valkey", "8.0"
"""Valkey speaks the Redis protocol; IAM authentication needs 7.0 or newer (ElastiCache user
guide, "Authenticating with IAM")."""

TOKEN_VARIABLE = "FEAST_REDIS_TOKEN"
"""Feast fills in environment variables when it reads its configuration, so no password is kept."""


@dataclass(frozen=True, kw_only=True)
class CacheSpec:
    """How large the cache is and how it survives a zone."""

    node_type: str
    """Such as `cache.r7g.large`."""

    replicas: int = 1
    """Nodes beside the primary one, in other zones. Default: one, which takes over."""

    snapshot_retention_days: int = 7
    """Default: a week; 0 keeps none."""

    time_to_live_seconds: int | None = None
    """After its last write an entity is forgotten. Default: kept."""


@dataclass(frozen=True, kw_only=True)
class FeastArgs(ComponentArgs):
    """What Feast serves and where it keeps it."""

    feature_views: Sequence[str]
    """Names of the feature views that are served online."""

    bucket_name: pulumi.Input[str]
    """Holds the registry and the configuration."""

    bucket_arn: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    cache: CacheSpec | None = None
    """Default: DynamoDB, one table per feature view, paid per request."""

    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    """Of the cache; its clients must be in one of them."""

    protect: bool = True
    """Refuse to delete what holds features. Default: protected."""


class Feast(Component):
    """Online store, registry and the `feature_store.yaml` that ties them together.

    The tables exist before `feast apply` runs, which then keeps them as they are: encrypted with
    our key and recoverable, which those that Feast creates are not. Nobody but Pulumi may delete
    them.
    """

    configuration_uri: pulumi.Output[str]
    """Where a Feast client finds its `feature_store.yaml`."""

    def __init__(
        self, name: str, args: FeastArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._args = args
        self._tables: list[pulumi.Output[str]] = []
        self._cache: list[pulumi.Output[str]] = []
        if args.cache is None:
            self._tables = [self._table(view).arn for view in args.feature_views]
            online: dict[str, Any] = self._dynamodb()
        else:
            online = self._redis(args.cache)
        configuration = {
            "project": self.names.prefix.replace("-", "_"),
            "provider": "aws",
            "registry": {
                "registry_type": "file",
                "path": pulumi.Output.concat("s3://", args.bucket_name, "/", REGISTRY_KEY),
            },
            "online_store": online,
            "offline_store": {"type": "file"},
            "entity_key_serialization_version": 3,
        }
        uploaded = aws.s3.BucketObjectv2(
            f"{name}-configuration",
            bucket=args.bucket_name,
            key=CONFIGURATION_KEY,
            # JSON is YAML
            content=pulumi.Output.json_dumps(configuration, sort_keys=True, indent=2),
            content_type="application/yaml",
            tags=self.tags("configuration"),
            opts=self.child,
        )
        self.configuration_uri = pulumi.Output.concat("s3://", uploaded.bucket, "/", uploaded.key)
        self.seal()

    def grant_apply(self, role: Role) -> None:
        """Let a role register entities and feature views.

        CreateTable is asked for tables that exist, and takes the answer that they do for success.
        """
        actions = ["CreateTable", "ListTagsOfResource", "TagResource", "UntagResource"]
        self._grant(role, "apply", actions, "registry", write=True)

    def grant_materialize(self, role: Role) -> None:
        """Let a role write features to the online store."""
        self._grant(role, "materialize", ["BatchWriteItem", "PutItem"], "registry", write=True)

    def grant_read(self, role: Role) -> None:
        """Let a role read features from the online store."""
        self._grant(role, "read", ["BatchGetItem", "GetItem"], "registry", write=False)

    def _grant(
        self, role: Role, verb: str, actions: Sequence[str], what: str, *, write: bool
    ) -> None:
        bucket_arn = pulumi.Output.from_input(self._args.bucket_arn)
        objects = ["s3:GetObject", *(["s3:PutObject"] if write else [])]
        store: dict[str, Any] = {"Action": ["elasticache:Connect"], "Resource": self._cache}
        if self._tables:
            allowed = ["dynamodb:DescribeTable", *(f"dynamodb:{action}" for action in actions)]
            store = {"Action": allowed, "Resource": self._tables}
        under = pulumi.Output.concat(bucket_arn, "/feast/*")
        self.grant(role, verb, [store, {"Action": objects, "Resource": [under]}])

    # -- DynamoDB ------------------------------------------------------------------------------

    def _table_name(self, view: str) -> str:
        """As Feast makes it of its template: the view's name stays as it is spelt."""
        return f"{self.names.of('feast')}-{view}"

    def _table(self, view: str) -> aws.dynamodb.Table:
        """A table with the key that Feast's DynamoDB store uses."""
        return aws.dynamodb.Table(
            f"{self.component_name}-{view}",
            name=self._table_name(view),
            billing_mode="PAY_PER_REQUEST",
            hash_key="entity_id",
            attributes=[{"name": "entity_id", "type": "S"}],
            server_side_encryption={"enabled": True, "kms_key_arn": self._args.kms_key_arn},
            point_in_time_recovery={"enabled": True},
            ttl={"attribute_name": EXPIRY_ATTRIBUTE, "enabled": True},
            deletion_protection_enabled=self._args.protect,
            tags=self.tags(view),
            opts=self.kept(self._args.protect),
        )

    def _dynamodb(self) -> dict[str, Any]:
        return {
            "type": "dynamodb",
            "region": self.names.region,
            "table_name_template": self._table_name("{table_name}"),
            "tags": self._tags,  # `feast apply` takes away tags that it does not know
        }

    # -- Valkey --------------------------------------------------------------------------------

    def _redis(self, spec: CacheSpec) -> dict[str, Any]:
        user = self._user()
        group = self._replication_group(spec, user)
        self._cache = [group.arn, user.arn]
        login = f"ssl=true,username={self.names.of('feast')},password=${{{TOKEN_VARIABLE}}}"
        connection = group.primary_endpoint_address.apply(lambda host: f"{host}:{PORT},{login}")
        store: dict[str, Any] = {"type": "redis", "connection_string": connection}
        if spec.time_to_live_seconds:
            store["key_ttl_seconds"] = spec.time_to_live_seconds
        return store

    def _user(self) -> aws.elasticache.User:
        """A user without a password: a role that may Connect signs a token for 15 minutes.

        IAM demands that id and name are the same.
        """
        name = self.names.of("feast")
        return aws.elasticache.User(
            f"{self.component_name}-user",
            user_id=name,
            user_name=name,
            engine=ENGINE,
            access_string="on ~* -@all +@read +@write +@connection",
            authentication_mode={"type": "iam"},
            tags=self.tags("user"),
            opts=self.child,
        )

    def _replication_group(
        self, spec: CacheSpec, user: aws.elasticache.User
    ) -> aws.elasticache.ReplicationGroup:
        users = aws.elasticache.UserGroup(
            f"{self.component_name}-users",
            user_group_id=self.names.of("feast"),
            engine=ENGINE,
            user_ids=[user.user_id],
            tags=self.tags("users"),
            opts=self.child,
        )
        subnets = aws.elasticache.SubnetGroup(
            f"{self.component_name}-subnets",
            name=self.names.of("feast"),
            description="Feast's online store",
            subnet_ids=self._args.subnet_ids,
            tags=self.tags("subnets"),
            opts=self.child,
        )
        return aws.elasticache.ReplicationGroup(
            f"{self.component_name}-cache",
            replication_group_id=self.names.of("feast"),
            description="Feast's online store",
            engine=ENGINE,
            engine_version=ENGINE_VERSION,
            node_type=spec.node_type,
            num_cache_clusters=1 + spec.replicas,
            automatic_failover_enabled=spec.replicas > 0,
            multi_az_enabled=spec.replicas > 0,
            port=PORT,
            subnet_group_name=subnets.name,
            security_group_ids=list(self._args.security_group_ids),
            user_group_ids=[users.user_group_id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=self._args.kms_key_arn,
            snapshot_retention_limit=spec.snapshot_retention_days,
            tags=self.tags("cache"),
            opts=self.kept(self._args.protect),
        )
