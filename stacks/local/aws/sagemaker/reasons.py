"""Why a member of a request is kept without effect, where several have the same reason."""

NETWORK = "there is one network: loopback"
KEY = "objects and volumes are not encrypted on this machine"
ACCESS = "IAM decides what it may"
ACCOUNTING = "kept for reviews and policies"
FAULTS = "a local job meets no fault of the service"
MACHINE = "one machine plays every instance"
