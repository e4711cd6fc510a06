"""Errors that a user can act on."""

from __future__ import annotations


class KitError(Exception):
    """Bad input. The message is one line that names the file or option and the way out."""

    exit_code = 2


class OtherNetwork(KitError):
    """A checkpoint of another network than the one that was chosen."""


class DataUnavailable(KitError):
    """Weights or images are neither on this machine nor reachable."""

    exit_code = 3


class GateFailed(KitError):
    """A stage produced something that its parity or operator gate refuses."""

    exit_code = 4
