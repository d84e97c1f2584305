"""x."""

ROWS = ()
