"""Weights, photographs, annotations: found, downloaded, read, or drawn."""
