"""Every command of README and docs, run as it stands there, in a newcomer's checkout."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.commands import commands, documents
from tests.docs.sandbox import Sandbox
from tests.firmware.test_serial_monitor import frame, watch

# Not run, and why.
_EXEMPT = {
    "bash tests/run.sh": "runs this test",
    ".venv/bin/pip install -r locks/benchmark.lock": "needs a package index",
    "bash tools/lock.sh": "needs a package index, and uv",
    "bash tools/debian_chroot.sh make trixie DIR": "tests/tools/test_debian_chroot.py",
    **dict.fromkeys(
        (
            "./nanodet parity nanodet_m_0.5x.tflite street.jpg --board emulated",
            "./nanodet bench nanodet_m_0.5x.tflite --board emulated --cpu cortex-a53",
        ),
        "needs arm64 packages; tests/runtime/benchmark/test_emulated.py",
    ),
}
_CODES = {
    # Nobody answers here who knows of vulnerabilities.
    ".venv/bin/python -m tools.audit": 3,
    # After an epoch the network finds nothing by which fine-tuning could be judged.
    "bash recipe.sh --config own.yml --weights runs/train/last.ckpt --images scenes/images "
    "--strides 32 --qat scenes/images": 4,
}
# They measure for hours, or build first: imported, for what they need must be there.
_LONG = re.compile(r"\.venv/bin/python -m (benchmarks\.\w+|tools\.pictures|tests\.robustness)")
_MODULES = sorted({m[1] for d in documents() for c in commands(d) if (m := _LONG.match(c))})
# Sentences name these without arguments: their help must come.
_PROGRAM = re.compile(r"\.venv/bin/python -m [\w.]+|\./nanodet [a-z]+")
_MONITOR = "./nanodet monitor "
# What compiles and emulates the firmware.
_TOOLS = "cmake", "arm-none-eabi-gcc", "qemu-system-arm"
_TOOLCHAIN = "cmake ", "qemu-system-arm "
_SEVERAL_BUILDS = pytest.mark.full(reason="several builds, or a training and a build")
_LONGEST = (
    *("docs/start/imx8mp.md", "docs/start/imx93.md", "docs/start/imxrt.md"),
    *("docs/start/own-data.md", "docs/start/own-model.md", "docs/training.md"),
)
_DOCUMENTS = [
    pytest.param(name, marks=[_SEVERAL_BUILDS] if name in _LONGEST else [])
    for name in (str(path.relative_to(ROOT)) for path in documents() if commands(path))
]


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_commands(document: str, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.become("imx93" if "imx93" in document else "imx8mp")
    for command in commands(ROOT / document):
        long = _LONG.match(command)
        if long:
            done = sandbox.run(f'.venv/bin/python -c "import {", ".join(_MODULES)}"')
            assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
        elif command.startswith(_MONITOR):
            done = watch(tmp_path, [frame(0)], *shlex.split(command)[3:])
            assert "frame 0" in done.stdout, command
        elif command.startswith(_TOOLCHAIN) and not all(map(shutil.which, _TOOLS)):
            pytest.skip(f"{command}: needs {', '.join(_TOOLS)}")
        elif command not in _EXEMPT:
            named = _PROGRAM.fullmatch(command)
            done = sandbox.run(f"{command} --help" if named else command)
            assert done.returncode == _CODES.get(command, 0), (
                f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    bash recipe.sh   # comment\n", ["bash recipe.sh"]),
        ("so `.venv/bin/python -m\nx --y` and `no command`.\n", [".venv/bin/python -m x --y"]),
        ("```\npython a.py\n```\n\n```yaml\npython: 3\n```\n", ["python a.py"]),
        ("    A=1 bash b.sh\n    bash b.sh\n    A=1 bash b.sh\n", ["A=1 bash b.sh", "bash b.sh"]),
        ("then `./nanodet cost m` and `nanodet`\n", ["./nanodet cost m"]),
        ("    from runtime import Detector\n", []),
    ],
    ids=["comment", "within a sentence", "fences", "each once", "nanodet", "no shell"],
)
def test_what_is_a_command(text: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    assert commands(tmp_path / "page.md") == expected


def test_links_lead_somewhere() -> None:
    for path in documents():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
