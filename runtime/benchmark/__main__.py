"""`python -m runtime.benchmark COMMAND`: each command is a module with `register`."""

from __future__ import annotations

import sys

from analysis import cost, doctor, parity, vela

from .. import cli
from ..cli import Parser
from . import boards, host, run

COMMANDS = (run, host, parity, doctor, vela, cost, boards)


def main() -> int:
    """Do what the command says."""
    parser = Parser(prog="python -m runtime.benchmark", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for command in COMMANDS:
        command.register(commands)
    options = parser.parse_args()
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(cli.run(main))
