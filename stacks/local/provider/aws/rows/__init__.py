"""The rows of the table, by the module of their token."""
