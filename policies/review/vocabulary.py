"""The words by which a difference is read: names of what guards, lets through, keeps, or sizes.

Patterns over names in lower case, without dashes; what they decide is in meaning.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

SIZE = re.compile(
    r"instancetypes?$|instanceclass|instancecount|nodetype|num(berof)?(nodes|brokernodes|cacheclusters)"
    r"|capacity(units)?$|desired(size|capacity|count)|(max|min)(imum)?(size|capacity|instances)"
    r"|memory(size)?$|cpu$|timeout(s|seconds|inseconds|(in)?min(ute)?s|(in)?milli(second)?s)?$|batchsize|concurrency"
    r"|volumesize|allocatedstorage|iops$|throughput|parallelism|replicas$|memorysizeinmb|shardcount"
    r"|replica(s|count)$|requests$|limits$|adjustment|gpu$|ephemeralstorage|disksize|sizeingb|bandwidth|workers?count|deadlineseconds$|backofflimit$|maxsurge$"
    r"|(task|instance|node|master|broker|shard)count$"
)
"""Names of what says how large or how long: the cost says what it comes to."""

NEGATIVE = re.compile(
    r"^(debug|verbose|force|skip|bypass|disable|suspend|ignore|allow|insecure|unsafe|privileged|host(network|pid"
    r"|ipc|port|path)|delete(?!protect|d$)|trust(all|any|server|self|unknown)|anonymous|accept(?!ance)|getpassword|unauthenticated|public|expose"
    r"|permit|exempt|omit|exclude|without|purge|destroy|wipe|autoaccept|automount)"
    r"|publicly|publicaccess$|publicip|publicread|istruncate|associatepublic|sourcedest$|bypass"
    r"|forcedestroy|forcedelete|forcedetach|ispublic|allowall|internetaccess|withoutprotection"
    r"|badgeenabled|privileg|overwrite|external|unencrypt|plaintext|insecure|anonymous|unauthenticated|execute"
    r"|(on|consumer|cascad\w*|recursive|check\w*|auto|branch|extend)delet(e|ion)|recursivedelet|includeexecution|^applyimmediately$|datashared$|^optin$|^includebody$|sharing(enabled)?$"
    r"|rootaccess|sudo|shareprocess|crossaccount|directinternet|failopen|introspection"
    r"|(disabled?|(?<!auto)suspend(ed)?|(?<!auto)paused?|skip(ped)?|bypass|exempt(ed)?|excluded?|deactivated?)$"
    r"|delete$|skip(tls|ssl|cert|verif|valid|check|auth|hostkey)|^isca(certificate)?$|^authorizeall|^(reclaim|preempt|evict|interrupt|delet|remov)[ai]ble$|^no(password|auth|verif|tls|ssl|encrypt|restrict|limit|expir|check|valid)"
    r"|disable\w*(notif|alarm|alert|log|monitor)|nolog$|bearertoken|autoconfirm|withoutreboot|removeself|retainsharing"
)
"""Names of flags that are safe while they are down."""

BLOCKS = re.compile(
    r"(?!skip\w*(check|valid|verif)|ignore\w*error)(block|ignore|restrict|deny|prevent|disallow|disable|skip|drop"
    r"|reject)\w*(public|invalid|acl|external|anon"
    r"|terminat|api(stop|termination)|delet|destroy|password|rootaccess|internet|executeapi|unauth"
    r"|plaintext|insecure|privileg|imdsv1)|^exclude(verbose|sensitive|pii)|only$|^internal$|^failon"
)
"""Flags against the public, or against an end, though they begin like the others."""

GUARD = re.compile(
    r"retention|retain|backup|versioning|recovery|snapshot|protect|lock(ed|out|config|mode|$)"
    r"|worm|legalhold|encrypt|kms|sse(algorithm|specification|enabled|$)|logging|logs?(config|delivery|type"
    r"|group|file|level|\w*exports?$|destinations?$|$)|logpublish|revoc|audit|trail|record(er|ing)|monitor|alarm|rollback|rotation"
    r"|mfa|valid(ation|ate)|verif|boundar|guard|immutab|mutability|scan|isolat|tls|ssl|https"
    r"|certificate|auth|deny|denied|block(?!storage)|restrict|quarantine|firewall|waf|webacl|networkpolic"
    r"|podsecurity|admission|quota|multiaz|archiv|pointintime|pitr|delet(e|ion)|deletionpolicy"
    r"|reclaim|threshold|minhealthy|maxunavailable|minavailable|securitycontext|readonly|nonroot"
    r"|drop$|seccomp|apparmor|selinux|privileg|failurepolicy|enforce|inspect|detect|approv(?!ed?(\.|$))|confirm"
    r"|deadletter|redrive|tracing|imdsv?2?|httptokens|hoplimit|capture|sampling|flowlog|insight|notif"
    r"|datasource|finding|inspector|guardrail|waitinterval|terminationwait|bake|canary|stoppolicy"
    r"|password|session|grace|failover|objectownership|runasuser|missingdata|securitypolicy|protocolversion"
    r"|(^|\.)logs\.|metricsenabled$|complianceseverity|rejected(?!patch)|levelmetrics|enabledmetrics|evaluationperiods|datapoints|okactions|dataactions|aggregation|ipblock\.except"
    r"|policytypes|autoenable|controlstatus|zoneaware|remediat|sourcedest|signing|include\w*events|allsupported|strength|throttl|ratelimit|ratebased|observab|telemetr"
)
"""Words of what keeps data, keeps others out, or keeps a record."""

KEEPS = re.compile(
    r"retention|retain|backup|lock|recovery|window|days|period|keep(?!alive)|history|archiv|minimum|^min"
    r"|wait|bake|sampling|versions|snapshot|expir|ttl|maxage|hours|years|count(number|moreThan)?$"
    r"|(delete|expire|archive)after$|reuseprevention$"
)
"""Words of numbers of which less is kept, or waited, for."""

CAPS = re.compile(
    r"threshold|maxunavailable|limit|quota|hoplimit|^max|canary|percent|sessionduration|evaluationperiods"
    r"|datapointstoalarm"
)
"""Words of numbers of which more lets more through."""

FOREVER = re.compile(
    r"retentionindays|retentiondays|logretention|expir|ttl|maxage|noncurrent|days$|deleteafter"
)
"""Numbers whose absence means for ever."""

SELDOM = re.compile(
    r"rotat\w*\.?\w*(days|hours|duration|period)|(automatically|approve)after|frequency|interval$|probe\.periodseconds$"
)
"""Words of numbers of which more is less often: it is guarded less."""

STAYS = re.compile(
    r"(session|disconnect|credential|password|token|refresh|login|cookie|authorizer|immunity)\w*"
    r"(timeout|ttl|time|validity|duration|lifetime|maxage|age|expir\w*)|maxpasswordage|changeablefor|reuse\w*(seconds|period|time)"
    r"|healthcheck\w*grace|(suppress|mute|silence|snooze)\w*(period|duration|seconds|minutes)"
)
"""Words of numbers of which more lets somebody stay in, or undo a lock, or be ill, for longer."""

CACHED = re.compile(
    r"^(record|default|min|max)?ttl(s|seconds|insec|inseconds)?$|cach(e|ing)\w*(ttl|age)"
)
"""Numbers that say how long others go by an old answer, or how long an item is kept."""

BOUNDS = re.compile(
    r"(^|\.)hard\.|(^|\.)limitamount$|bytesscannedcutoff\w*$|nominalquota|borrowinglimit|^spec\.limits(\.|$)|(^|\.)limits\.(max|maxlimitrequest)"
)
"""Places of what a namespace, a pool or a queue may use at most."""

SCALES: Sequence[tuple[str, ...]] = tuple(
    tuple(words)
    for words in json.loads((Path(__file__).parent.parent / "tables" / "scales.json").read_text())[
        "scales"
    ]
)
"""Words of one matter, from the laxest to the strictest."""

OFF = frozenset(
    ("false", "disabled", "disable", "off", "none", "never", "suspended", "inactive", "stopped",
     "no", "0", "paused", "detached", "unprotected", "deactivated", "")
)  # fmt: skip
"""Words for a flag that is down."""

ON = frozenset(
    ("true", "enabled", "enable", "on", "always", "active", "required", "yes", "running",
     "protected", "activated", "started", "enforced")
)  # fmt: skip
"""Words for a flag that is up."""

PLAIN = frozenset((*ON, *OFF, "allow", "any", "all", "open", "closed", "approved", "new", "low",
                   "medium", "high"))  # fmt: skip
"""Words that say nothing of a scale unless the name beside them is one of what guards."""

LAXEST = frozenset(scale[0] for scale in SCALES) | frozenset(("delete", "allow", "tls_1_0"))
"""Words that let most through, whatever they are about."""

STOPS = 10
"""Times by which a limit falls and may stop what it bounds."""

LISTED = re.compile(
    r"block|deny|denied|restrict|log|audit|export|backup|alarm|notif|event|protect|scan|retain"
    r"|rejected(?!patch)\w*|levelmetrics|enabledmetrics|okactions|dataactions|guardrail|ipblock\.except|policytypes|drop$|alert|monitor|detect|snapshot|encrypt|recovery|securitygroup|insight"
)
"""Lists of which more guards more; of others, such as ways to sign in, more may let more in."""

WHO = re.compile(
    r"^(principals?|principalarn|principalid|granteeprincipal|accountids?|userids?|acl|subjects?|members?"
    r"|sharedaccounts?|allowedaccounts?|organizationarns?|organizationalunitarns?|groupnames?"
    r"|trustedaccounts?|accountgrants?|permissiongroups?|kubernetesgroups|consumeraccountid"
    r"|allowedprincipals?|vpcendpointallowedprincipals|grantee|grants|rolesmapping|usergroups|email"
    r"|peerownerid|peeraccountid|targetaccountids?|accountid|destinationaccounts?|userarn|usernames?|principaltype)$"
)
"""Inputs, in lower case, that say who is let in beside any document."""

WAYS_IN = re.compile(
    r"^(users|source(repos|namespaces)|\w*protocols|callbackurls|assumable\w+|allowed\w+|\w+alloweds?|\w*(allow|white)list(ed)?s?|permissions(withgrantoptions?)?|(excluded|exempt)namespaces"
    r"|(read|write)attributes|\w*(flows|methods|origins))$"
)
"""Lists of which one less lets less in, or leaves less out."""

NARROWS = re.compile(
    r"prefix|suffix|filter|pattern|scope|include|exclude|select|only|condition|match|sample|subset|label"
)
"""Names of what a guard is about: with one more of these it may guard less."""

LEAST_OF_UNITS = re.compile(
    r"^min(imum)?\w*(cpus?|capacity|size|instances|workers?(count)?|units|pollers|nodes|count|mcus?)$"
)
"""Fewest of what is paid for by the hour: zero of it costs nothing."""

HELD = re.compile(r"defaultretention|objectlock|worm|snaplock|legalhold")
"""Places of what nobody can take back before its time."""

OPENS = re.compile(r"password|secret|token|credential|passphrase")
"""Names of what somebody comes in with: a first one is another way in."""

PLEDGED = frozenset(("approved",))
"""Words that something else goes by: what is served may be so no longer without them."""

STOPPED = re.compile(r"^(disable|suspend|isdisabled)")
"""Beginnings of flags that stop something: what begins again is good only where it guards."""

DOUBTED = re.compile(
    r"(?<!backup)(?<!log)retention\.?(is)?enabled$|password(based)?auth(entication)?$"
)
"""Places of flags without which nothing that is kept ever ages (Loki's documentation,
"Retention"), or that are a way in as well as a guard (sshd_config)."""

LOCKED = re.compile(r"^worm$|^completelock$|retentionlocked$")
"""Flags that lock for good (Glacier's developer guide, "Vault Lock"; API references of Storage
Gateway and Oracle Database@AWS)."""

FOR_GOOD = frozenset(("compliance",))
"""Words of a lock that nobody can open before its time (S3 user guide, retention modes)."""

FACTORS = {"nano": 0.25, "micro": 0.5, "small": 1.0, "medium": 2.0, "large": 4.0, "xlarge": 8.0}
"""Sizes of instances by EC2's normalization factors; 2xlarge is twice xlarge
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/apply_ri.html)."""

INSTANCE = re.compile(
    r"(?:(?:ml|db|cache|dax|dms)\.)?[a-z][a-z0-9-]*\."
    r"(\d*)(nano|micro|small|medium|large|xlarge)(?:\.search)?"
)
"""A type of instance: its family, then its size."""

NUMBERED = re.compile(r"type(s)?$|class$")
"""Names of sizes that are words, such as an instance's type."""

LEAP = 3
"""Times by which a size is another matter, and no longer a step."""

COUNTS = re.compile(r"replicas$|count$|(min|desired)(imum)?(size|capacity|instances)|numberof")
"""Names of sizes that say how many there are."""

PROTECTS = re.compile(
    r"protection\.|prevention\.|(^|\.)(enhanced\w*|atomic)$|(^|\.)(vulnerabilityalerts|\w*privacy|\w*(zonalshift|crosszone|zonerebalancing)\w*|preserve|(preserve|retain)on(delete|destroy))$|(^|\.)auto\w*(renew|upgrade(enabled)?|updateenabled)$"
    r"|(repair|circuitbreaker|zonalshift|autotune|healthcheck|accelerate)\w*\.(enabled?|status|desiredstate)$|(^|\.)allowversionupgrade$"
)
"""Places of flags that guard while they are up, whatever their own name says."""

EXPIRES = re.compile(
    r"lifecycleconfiguration\.rules\.status$|lifecyclerules?\.(enabled|status)$|deletemarkerreplication\.(enabled|status)$|(^|\.)(ttl|timetolive)\w*\.enabled$"
)
"""Places of rules that delete while they are on."""

FILTERS = re.compile(r"(waf|shield|networkfirewall)\w*[/:]", re.I)
"""Services whose numbers say what is let through."""

UNITS = {"": 1.0, " vCPU": 1.0, " GB": 1e9, "vCPU": 1.0, "GB": 1e9,
         "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
         "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}  # fmt: skip
"""Suffixes of a quantity (Kubernetes' API reference, resource units; EMR
Serverless' API reference, MaximumAllowedResources)."""

CREDENTIAL = re.compile(r"accesskey$|apikey$|credential$|certificate$|login|consoleaccess$")
"""Kinds of what somebody comes in with or by: one that works again is another way in."""

PROGRAMS = ("env", "environment", "environmentvariables", "extraenv")
"""Places of what a program of somebody else reads, under names of its own."""

PATTERNS = ("eventpattern", "filterpolicy", "filtercriteria")
"""Patterns of events, in which a list means any of its values, in any order (EventBridge user
guide, "Event patterns"; SNS developer guide, "Subscription filter policies")."""

SWITCHES = ("enabled", "enable", "isenabled", "status", "state", "desiredstate")
"""Names of flags that turn the whole of something off."""

ENDING = re.compile(r"backup|lock|recovery|window|deletion")
"""Words of numbers whose absence means that nothing is kept, or the default."""

LEAST = re.compile(
    r"minimum|^min|retention|retain|snapshot|backup|recovery|wait|bake|keep|sampling"
)
"""Words by which even a limit is one of what is kept."""

LAX = frozenset(
    ("privileged", "mutable", "http", "http-only", "public", "publicinternetonly",
     "internet-facing", "permissive", "plaintext", "approved", "public-read-write", "public-read",
     "allow-all", "all_at_once", "authenticated-read", "tls_1_0", "tlsv1")
)  # fmt: skip
"""Words that are the lax end of their scale, and of no other scale the strict one."""

OPTIONAL = ("multiaz", "enabled", "enable", "status", "state")
"""Flags that are off as often as on, where nothing says that they guard."""

SETS = re.compile(
    r"(ids?|idlists?|arns?|cidrs?|cidrblocks|zones|subnets|groups|principals?|actions?|resources?|services"
    r"|accounts|policies|types|names|regions|protocols|methods|headers|hosts|users|roles|events"
    r"|aliases|exports|tags|tagkeys|features|scopes|urls|ports|values|flows|records|topics|hostnames|alloweds|attributes|origins|codes|patterns|ips|mediums|addresses|labels"
    r"|locations|domains|clients|audiences|destinations|members|permissions|algorithms|categories|reasons|hostkeys|modes|contexts)$"
)
"""Names of lists whose order says nothing."""

ORDERED = re.compile(
    r"command|args|entrypoint|container|stage|step|behavior|order|priorit|column|key|layers$"
    r"|instancetypes$|terminationpolicies$|functions$|servers$|search(es|domains)$|overrides$"
)
"""Names of lists that have an order: what comes later lies on top, or is asked where the first one
does not answer, or is tried where the first one is not to be had (API references of Lambda, EC2,
EC2 Auto Scaling and EKS)."""

ID = re.compile(
    r"(arn:|[a-z]{2,12}-[0-9a-f]{6,}|\d{12}$|[0-9a-f.:]+/\d{1,3}$|[\w-]+\.amazonaws\.com)"
)
"""Values that name something: a list of them is a set."""

OBJECTS = frozenset(
    ("statement", "ingress", "egress", "taints", "tolerations", "env", "volumes", "subjects",
     "attributes", "globalsecondaryindexes", "localsecondaryindexes", "notifications", "tags",
     "parameters", "inlinepolicies", "volumemounts", "secrets", "ports", "featuredefinitions",
     "imagepullsecrets", "replicas", "requirements", "matchexpressions", "matchfields",
     "nodeselectorterms", "topologyspreadconstraints", "metrics")
)  # fmt: skip
"""Lists of objects, each found again by what it says; of requirements all hold, of terms any, of an
autoscaler's metrics the largest (API references of Kubernetes and Karpenter)."""
