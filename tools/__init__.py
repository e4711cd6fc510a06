"""Upkeep of the repository: locks, environment, what it depends on."""
