"""Runs a program that nobody has read; see run.py."""
