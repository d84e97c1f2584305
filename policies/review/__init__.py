"""The stack review: what a change would do, what it would cost, and who has to look at it."""
