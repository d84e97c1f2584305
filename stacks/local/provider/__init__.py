"""Pulumi's provider protocol; knows no cloud."""
