"""The number of the one account."""

ACCOUNT_ID = "123456789012"
