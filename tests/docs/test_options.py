"""Every option that README and docs name is one of the command's own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.commands import documents
from tests.docs.options import SCRIPTS, modules, parser_of, unknown_options

_KNOWN = modules(path.read_text(encoding="utf-8") for path in documents())


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_options(path: Path) -> None:
    assert unknown_options(path.read_text(encoding="utf-8"), _KNOWN) == []


@pytest.mark.parametrize(
    ("text", "wrong", "reason"),
    [
        ("    bash recipe.sh --target mcu --fast\n", [], "a line of code"),
        ("    bash recipe.sh --targets mcu\n", ["--targets"], "a line of code"),
        ("    bash recipe.sh --fast  # not --slow\n", [], "a comment"),
        ("```\nbash recipe.sh \\\n  --made-up x\n```\n", ["--made-up"], "a fence, two lines"),
        ("    A=1 .venv/bin/python -m tools.wheel --out a\n", [], "a module"),
        ("    ./nanodet train --split-stem\n", ["--split-stem"], "another command's"),
        ("    ./nanodet cost m --nodes\n", [], "a command"),
        ("    ./nanodet run detect m --json\n", [], "a command's command"),
        ("    ./nanodet run parity m --json\n", ["--json"], "its other command's"),
        ("    python3 -m runtime parity m --json\n", ["--json"], "the same on a board"),
        ("    python evaluate.py m --limit 9\n    pip install --no-such x\n", [], "not ours"),
        ("so `nanodet firmware --split-stem` and\n", [], "within a sentence"),
        ("so `nanodet firmware\n--format` and\n", ["--format"], "over two lines"),
        ("`bench MODEL --board a` or `cost --board a`\n", ["--board"], "a command alone"),
        ("| `recipe.sh` | `--format` here |\n", ["--format"], "alone in a cell"),
        ("# A\n`recipe.sh`: `--fast`\n# B\n`example.py`: `--fast`\n", ["--fast"], "a section each"),
        ("`recipe.sh`\n# B\n`--fast`, `--made-up`\n", ["--made-up"], "the page's"),
        ("`--fast` of nothing\n", ["--fast"], "no program at all"),
        ("build it with recipe.sh --tarjet x\n", ["--tarjet"], "in plain words"),
        ("`python -m benchmarks.rewrites --fast`\n", ["--fast"], "one that reads no options"),
        ("a -- b, --- and --, well--known\n", [], "dashes"),
    ],
)
def test_what_is_an_option_of_what(text: str, wrong: list[str], reason: str) -> None:
    known = frozenset((*_KNOWN, "runtime", "tools.wheel", "benchmarks.rewrites"))
    assert [line.partition(" ")[0] for line in unknown_options(text, known)] == wrong, reason


def test_an_option_that_a_command_loses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parsers are the commands' own: without `--fast` README is wrong."""
    parser = parser_of(SCRIPTS["recipe.sh"])
    assert parser is not None
    kept = {
        name: action for name, action in parser._option_string_actions.items() if name != "--fast"
    }
    monkeypatch.setattr(parser, "_option_string_actions", kept)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert any(line.startswith("--fast ") for line in unknown_options(text, _KNOWN))


class _Strings(ast.NodeVisitor):
    """Texts of a module, the variable parts of a formatted one as `x`."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_Constant(self, node: ast.Constant) -> None:
        self.found += [node.value] if isinstance(node.value, str) else []

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.found.append(
            "".join(str(v.value) if isinstance(v, ast.Constant) else "x" for v in node.values)
        )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "analysis/rules").glob("*.py")), ids=lambda path: path.name
)
def test_options_that_the_doctor_recommends(path: Path) -> None:
    strings = _Strings()
    strings.visit(ast.parse(path.read_text(encoding="utf-8")))
    assert [line for text in strings.found for line in unknown_options(text, _KNOWN)] == []
