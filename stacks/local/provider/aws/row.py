"""The vocabulary of the table: what a row can say about an AWS resource type.

Strings with braces are filled in when a call is made: `{id}`, `{region}`, `{account}`, and every
input by its Pulumi name. Paths are JMESPath over the answer of the describe call.

A row needs few renames, because a Pulumi property finds its AWS member by name: `kmsKeyId` is
`KmsKeyId`, and a list's plural `s` is tolerated. `rename` holds the rest, at any depth, wherever
the target is a member. A target may be a path (`EnableDnsSupport.Value`), and `[0]` marks the
side that has a list where the other has a single value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stacks.local.provider.backend import Properties

EVERYTHING = ("*",)
"""`replace_on` of a type whose API has no update call."""

ALL = ("*",)
"""`takes` of a call that carries every input, so that an absent one is reset."""


Decides = Callable[[Any, Any, Properties], bool]
"""Whether a change replaces: the value before and after, and all inputs before."""

Believed = Literal["aws", "official", "here"]
"""Whose word counts on what replaces: AWS's as the row has it, that of the official provider, or
what is done here: what either of them replaces, as far as an update can be made at all."""


@dataclass(frozen=True, kw_only=True)
class HookContext:
    """What a named function of the odd row gets to see."""

    client: Any
    id: str
    old: Properties
    """Inputs before; empty at creation."""
    new: Properties
    """Inputs after; empty at deletion."""
    describe: Callable[[], dict[str, Any] | None]
    """The describe answer of this moment; None: the resource does not exist."""


@dataclass(frozen=True)
class Call:
    """One API operation and the inputs it carries."""

    operation: str
    takes: Sequence[str] = ()
    """Pulumi inputs sent when given. An update call is made when one of them changed. Default: of
    a create call, every input it has a member for."""
    omits: Sequence[str] = field(default=(), kw_only=True)
    """Members that no input stands for, or that `ALL` does not include. Default: none."""
    key: Mapping[str, Any] | None = field(default=None, kw_only=True)
    """Members that say which resource. Default: the row's key."""
    fixed: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """Further members that are always sent. Default: none."""
    when: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """Made only if these inputs have these values. Default: always."""
    rename: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """As in the row, for this call alone. Default: none."""
    build: Callable[[HookContext], Mapping[str, Any] | None] | None = field(
        default=None, kw_only=True
    )
    """Members that need a computation; None: the call is not needed. Default: none."""
    result: str = field(default="@", kw_only=True)
    """Of a read: where the resource is in the answer; may name `{id}`. Default: all of it."""
    into: str = field(default="", kw_only=True)
    """Of a further read: the member its result becomes. Default: its members are merged in."""
    absent: Sequence[str] = field(default=(), kw_only=True)
    """Error codes that mean there is nothing to say. Default: none."""


@dataclass(frozen=True)
class Missing:
    """How the API says that a resource does not exist."""

    code: str
    fragment: str = ""
    """Part of the message, where the code alone is ambiguous. Default: the code decides."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the engine keeps as the resource's id."""

    inputs: Sequence[str] = ()
    """Inputs that make up the id; then the name is occupied while the resource exists."""
    separator: str = ":"
    returned: str = ""
    """Where the id is in the answer of the create call. With `inputs`: its parts, joined, which may
    be members of the answer as well."""
    template: str = ""
    """How the id is put together from inputs, region and account."""


def named(name: str) -> Identity:
    """The id is one input."""
    return Identity(inputs=(name,))


def parts(separator: str, *names: str) -> Identity:
    """The id is several inputs, joined."""
    return Identity(inputs=names, separator=separator)


def returned(path: str) -> Identity:
    """The id is chosen by AWS."""
    return Identity(returned=path)


def template(text: str) -> Identity:
    """The id can be computed, such as an ARN."""
    return Identity(template=text)


@dataclass(frozen=True, kw_only=True)
class Tags:
    """How a type carries tags."""

    create: str = "Tags"
    """Member of the create call. Default: `Tags`; empty: tags are added by `add`."""
    resource_type: str = ""
    """EC2's kind for TagSpecifications. Default: tags are sent as they are."""
    add: str
    remove: str
    member: str = "Tags"
    """Member of the add call. Default: `Tags`."""
    keys: str = "TagKeys"
    """Member of the remove call. Default: `TagKeys`."""
    key: Mapping[str, Any]
    """Members that say which resource."""
    whole: bool = False
    """The add call sets all tags at once. Default: it merges."""
    path: str = "Tags"
    """Where the describe answer has them."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """When a resource is ready, by its describe answer."""

    status: str
    good: Sequence[str]
    bad: Sequence[str] = ()
    reason: str = "FailureReason"
    """Where the answer says what went wrong, also in a good state: then the change was rolled
    back. Default: `FailureReason`."""
    equal: Mapping[str, str] = field(default_factory=dict)
    """Path by input: what must hold afterwards, or the change was rolled back."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One AWS resource type as the local provider serves it."""

    token: str
    service: str
    """Name of the boto3 client."""
    cfn: str
    """CloudFormation's name: its schema says what replaces. Empty: it has no such type."""
    create: Call
    read: Call
    also: Sequence[Call] = ()
    """Further reads. Default: one call tells everything."""
    update: Sequence[Call] = ()
    """Calls for what can change. Default: nothing beyond `then`."""
    delete: Call | None
    """None: AWS has no such call and nothing is left behind."""
    then: Sequence[Call] = ()
    """Calls after create, and again when their inputs change. Default: none."""
    identity: Identity
    key: Mapping[str, Any] = field(default_factory=dict)
    """Members that say which resource. Default: the inputs of the identity, by name."""
    body: str = ""
    """Member of the calls that holds the inputs which are no members themselves; `[0]` at its end
    marks a list of one."""
    rename: Mapping[str, str] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    """Where the describe answer has an input. Default: where the create call takes it."""
    write_only: Sequence[str] = ()
    """Inputs that no describe call tells: state is believed. Default: none."""
    provider_only: Sequence[str] = ()
    """Inputs that steer this provider and reach AWS in no call of their own."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What AWS takes when an input is absent, where the describe answer then shows it."""
    computed: Sequence[str] = ()
    """Inputs, or paths into them, that AWS chooses when absent: absence is then no change."""
    refuses: Sequence[str] = ()
    """Inputs of the official provider that are not served, so that the lint is complete."""
    replace_on: Sequence[str] = ()
    """Inputs, or paths into them, that AWS cannot change in place."""
    replace_if: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)
    """For inputs where it depends on the change."""
    official: Mapping[str, bool | Decides] = field(default_factory=dict)
    """Inputs, or paths into them, where the official provider does otherwise than the row says:
    whether it replaces. It is what deploys to an account, so a review believes it. Default: it does
    as the row says."""
    ordered: Sequence[str] = ()
    """Lists whose order matters. Default: lists of plain values are compared as sets."""
    keyed: Mapping[str, str] = field(default_factory=dict)
    """Lists of structures that are sets: the member that tells their items apart."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Pulumi output by path in the describe answer, or by template when it has braces."""
    tags: Tags | None = None
    missing: Sequence[Missing]
    gone: str = ""
    """A condition on the describe answer under which the resource counts as deleted."""
    wait: Wait | None = None
    before_delete: Callable[[HookContext], None] | None = None
    refilled: str = ""
    """Error code that says something came in after `before_delete`: both are tried again. Default:
    nothing can."""
    autoname: str = ""
    """Input that gets the program's name and a random suffix when it is absent. Default: none."""
    occupies: Sequence[str] = ()
    """Inputs of which there is one resource at a time, so that a replacement that keeps them
    deletes first. Default: the inputs of the identity, or `autoname`."""
    volatile: Sequence[str] = ()
    """Outputs that an update may change. Default: none."""
    fidelity: str
    """What the local cloud does with it, and what it does not."""
