"""NanoDet in PyTorch, with upstream's key names."""

from convert.network.nanodet import NanoDet

__all__ = ["NanoDet"]
