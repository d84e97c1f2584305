"""What a row of the recorder says about one resource type of an AWS service that moto lacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A resource type that is created, shown, changed and deleted, and does nothing.

    The request's members show up in the describe answer under the same names, as far as its shape
    has them. Templates in braces are filled with the request's members, `{region}`, `{account}`
    and `{hash}`: 17 hex digits that follow from the key, or from the count where AWS invents the
    key.
    """

    service: str
    """Name of the boto3 client."""

    name: str
    """What it is, in AWS's words."""

    create: str
    key: Mapping[str, str]
    """Member of the describe, update and delete requests -> JMESPath in the create request, or the
    name of a member in `made`. A member may be an ARN if `made` says so."""

    describe: str = ""
    """Default: the API only lists."""

    list: str = ""
    """Default: not answered."""

    update: Sequence[str] = ()
    """Operations whose members replace those of the resource. Default: the API has none."""

    delete: str = ""
    """Default: the API has none."""

    member: str = ""
    """Member of the answers that holds the resource. Default: its members are the answer's own."""

    listed_by: str = ""
    """Member of the describe request with a list of keys; then `member` of the describe answer is
    a list as well, and an empty request lists everything. Default: described one by one."""

    list_member: str = ""
    """Member of the list answer. Default: the first list in its shape."""

    body: str = ""
    """Member of the create and update requests that holds the members; an update request may
    have `New` before it, and a list holds one. Default: the request."""

    made: Mapping[str, str] = field(default_factory=dict)
    """Members that AWS invents, as templates."""

    sets: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the describe answer, such as a status. Default: none."""

    times: Sequence[str] = ()
    """Members that hold the time of creation. Default: none."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """Member of a request -> member of the describe answer. Default: the same name."""

    arn: str = ""
    """Member with the ARN that tag operations name. Default: it carries no tags of its own."""

    tags: str = "tags"
    """Member with the tags, in requests and answers. Default: `tags`."""

    missing: str = "ResourceNotFoundException"
    """Error code of a resource that does not exist; empty: it is left out of what is listed.
    Default: what most services answer."""

    exists: str = "ResourceInUseException"
    """Error code of a key that is taken; empty: the create call then updates, as PutX does.
    Default: what most services answer."""

    linked_service: str = ""
    """Service principal, as a template, whose service-linked role AWS makes in the caller's name
    when the first one is created. Default: none is needed."""
