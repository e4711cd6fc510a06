"""Errors that a user can act on, and the one place that turns them into exit codes."""

from __future__ import annotations

import os
import sys
from typing import Callable


class KitError(Exception):
    """Bad input. The message is one line that names the file or option and the way out."""

    exit_code = 2


class DataUnavailable(KitError):
    """Weights or images are neither on this machine nor reachable."""

    exit_code = 3


class GateFailed(KitError):
    """A stage produced something that its parity or operator gate refuses."""

    exit_code = 4


def run_cli(main: Callable[[], int]) -> int:
    """Run a command line's `main`; print a `KitError` as one line on stderr.

    Returns the exit code: 2 bad input, 3 data unavailable, 4 gate failed, 130 interrupted.
    """
    try:
        return main()
    except KitError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) went away; keep the interpreter from complaining at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
