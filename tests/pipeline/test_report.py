from __future__ import annotations

import pytest

from pipeline.report import command


@pytest.mark.parametrize(
    ("arguments", "typed", "reason"),
    [
        ([], "bash recipe.sh", "nothing"),
        (["--fast", "--out", "/tmp/x", "--strides", "16,32"],
         "bash recipe.sh --fast --strides 16,32", "--out decides nothing of what is built"),
        (["--out=x"], "bash recipe.sh", "the other way to write it"),
        (["--weights", "my file.ckpt"], "bash recipe.sh --weights 'my file.ckpt'", "quoted"),
        (["--classes", "it's,$HOME"], """bash recipe.sh --classes 'it'"'"'s,$HOME'""", "as typed"),
    ],
)  # fmt: skip
def test_command(arguments: list[str], typed: str, reason: str) -> None:
    assert command(arguments) == typed, reason
