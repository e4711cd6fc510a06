"""Tests, one file a module, in the layout of the sources."""
