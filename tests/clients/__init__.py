"""Tests and clients that others wrote, run against the local cloud; none are kept here."""
