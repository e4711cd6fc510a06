"""What `./nanodet` can do, and how it starts each command.

Any Python 3 understands this file, and it imports nothing of the kit or of packages before
`.venv` is there.
"""

import difflib
import importlib
import subprocess
from typing import NamedTuple

import environment


class Command(NamedTuple):
    """group: its heading in the help. module: has `main`, which takes the words that follow."""

    name: str
    group: str
    module: str
    summary: str


_BUILD, _JUDGE, _BOARDS = "build and train", "judge", "boards"
COMMANDS = (
    Command("check", _BUILD, "tools.check", "say what this machine has of what the kit needs"),
    Command("build", _BUILD, "pipeline.__main__", "turn a checkpoint into an int8 TFLite file"),
    Command("train", _BUILD, "train.command", "train or fine-tune on annotated pictures"),
    Command("config", _BUILD, "train.starting", "print a training configuration to start from"),
    Command("data", _BUILD, "data.overview", "say what is in a data set, and draw some of it"),
    Command("shapes", _BUILD, "data.shapes.command", "write generated scenes with annotations"),
    Command("detect", _JUDGE, "example", "detect objects in an image, a folder or a video"),
    Command("evaluate", _JUDGE, "evaluate", "measure a model's AP on annotated pictures"),
    Command("compare", _JUDGE, "evaluation.compare", "tell whether two results' AP really differ"),
    Command("waterfall", _JUDGE, "evaluation.waterfall", "show at which step AP is lost"),
    Command("inspect", _JUDGE, "evaluation.inspect", "list the tensors that cost most accuracy"),
    Command("run", _JUDGE, "runtime.__main__", "detect, or compare engines, as a board does"),
    Command("doctor", _BOARDS, "analysis.doctor", "foretell what will go wrong on a board"),
    Command("cost", _BOARDS, "analysis.cost", "predict instructions and memory on a Cortex-M7"),
    Command("vela", _BOARDS, "analysis.vela", "compile for the NPU of an i.MX 93"),
    Command("boards", _BOARDS, "runtime.benchmark.boards", "list boards and published latencies"),
    Command("bench", _BOARDS, "runtime.benchmark.bench", "measure latency here or on a board"),
    Command("parity", _BOARDS, "analysis.parity", "compare a board's answers with this machine's"),
    Command("firmware", _BOARDS, "firmware.generate", "write a microcontroller's application"),
    Command("monitor", _BOARDS, "firmware.serial_monitor", "show what the firmware sends"),
)
_MODULES = {command.name: command.module for command in COMMANDS}
_LEVELS = ("-q", "--quiet", "-v", "--verbose")
_OPTIONS = (
    ("-h, --help", "show this help; after a command, its options"),
    ("--version", "print the version"),
    ("-q, --quiet", "print the result, without progress"),
    ("-v, --verbose", "print what the tools beneath say, too"),
)


def main(words: "list[str]") -> int:
    """Do what the words ask; returns the exit code."""
    name = next((word for word in words if word not in _LEVELS), "")
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name == "--version":
        print("nanodet " + environment.version())
        return 0
    if name not in _MODULES:
        return environment.complain(_unknown(name))
    words.remove(name)
    if name == "check":  # Before anything is installed.
        words = [word for word in words if word not in _LEVELS]
        return int(importlib.import_module(_MODULES[name]).main(words))
    bare = not (environment.KIT / ".venv" / "bin" / "python").exists()
    if name == "build" and bare and {"-h", "--help"} & set(words):
        print((environment.KIT / "docs" / "recipe.txt").read_text(encoding="utf-8"), end="")
        return 0
    code = _install() if name == "build" else 0
    if code:
        return code
    environment.enter()
    return start(name, words)


def _install() -> int:
    """Make `.venv`, as recipe.sh does; returns the exit code."""
    script = ". tools/environment.sh && environment locks/recipe.lock"
    try:
        return subprocess.call(["bash", "-c", script], cwd=str(environment.KIT))
    except KeyboardInterrupt:
        return 130


def start(name: str, words: "list[str]") -> int:
    """Run a command in this process; returns the exit code."""
    from runtime import cli

    def run() -> int:
        cli.Parser.program = "nanodet " + name
        return int(importlib.import_module(_MODULES[name]).main(words))

    return cli.run(run)


def _unknown(name: str) -> str:
    if not name or name.startswith("-"):
        return (f"{name}: no such option" if name else "no command") + "; see nanodet --help"
    (nearest,) = difflib.get_close_matches(name, [c.name for c in COMMANDS], n=1, cutoff=0)
    return f"{name}: no such command; the nearest is {nearest}, and nanodet --help lists all"


def _help() -> str:
    lines = ["usage: nanodet [-q | -v] COMMAND ...", "", "NanoDet detectors on NXP edge hardware."]
    for group in (_BUILD, _JUDGE, _BOARDS):
        rows = [(c.name, c.summary) for c in COMMANDS if c.group == group]
        lines += ["", group + ":", *(f"  {left:<15}{right}" for left, right in rows)]
    lines += ["", "options:", *(f"  {left:<15}{right}" for left, right in _OPTIONS)]
    return "\n".join([*lines, "", "nanodet COMMAND --help lists the options of a command."])
