"""Training NanoDet and NanoDet-Plus: data, assignment, losses, and the Lightning module."""
