"""Inputs of one resource of every type, and a change of each."""
