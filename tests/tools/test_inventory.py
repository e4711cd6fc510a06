"""Licences and bill of materials, against the locks, the installed packages and the schema."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from runtime.errors import KitError
from tests.conftest import ROOT
from tools import inventory
from tools.inventory import BUILDING, DOCUMENT, LOCKS, bill_of_materials, document, licences, locked


def plainly(lock: str) -> dict[str, set[str]]:
    """`name==version` -> hashes, read line by line."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in (ROOT / lock).read_text().splitlines():
        if line.startswith("    --hash=sha256:"):
            found[name].add(line.split(":")[1].rstrip(" \\"))
        elif not line.startswith((" ", "#")):
            name = line.split()[0]
            found[name] = set()
    return found


def versions(lock: str) -> dict[str, str]:
    """By name; of PyTorch without what says its build."""
    return dict(name.removesuffix("+cpu").split("==") for name in plainly(lock))


@pytest.mark.parametrize("lock", LOCKS.values())
def test_locks_hold_hashes_and_no_address(lock: str) -> None:
    packages = plainly(lock)
    assert packages and all(packages.values())
    assert all(len(digest) == 64 for hashes in packages.values() for digest in hashes)
    assert "://" not in (ROOT / lock).read_text()


def test_every_lock_is_listed() -> None:
    listed = {ROOT / lock for lock in LOCKS.values()}
    assert set(ROOT.glob("locks/*.lock")) == listed and listed


@pytest.mark.parametrize("lock", LOCKS.values())
def test_locks_agree_on_versions(lock: str) -> None:
    """They are installed into one environment; PyTorch's two builds are one version."""
    chosen: dict[str, str] = {}
    for other in LOCKS.values():
        chosen |= versions(other)
    assert versions(lock).items() <= chosen.items()


def test_the_document_is_in_step() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == document(locked(), licences()), "run: .venv/bin/python -m tools.inventory"
    listed = set(re.findall(r"^\| (\S+) \| (\d\S*) \|", text.split("## Every")[1], re.MULTILINE))
    assert listed == {tuple(n.split("==")) for lock in LOCKS.values() for n in plainly(lock)}


def test_the_document_names_copyleft_and_proprietary() -> None:
    flagged = DOCUMENT.read_text(encoding="utf-8").split("## More")[1].split("## Every")[0]
    for name in ("certifi", "numpy", "opencv-python-headless", "nvidia-cublas"):
        assert f"| {name} |" in flagged
    assert "| requests |" not in flagged


def test_licences_are_those_of_the_installed_packages() -> None:
    """Where their metadata has an SPDX expression."""
    known, compared = licences(), 0
    for package in locked():
        try:
            metadata = importlib.metadata.metadata(package.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if "License-Expression" in metadata:
            assert known[package.name][0] == metadata["License-Expression"], package.name
            compared += 1
    assert compared > 50


def test_no_licence_is_kept_of_what_is_gone() -> None:
    assert set(licences()) == {package.name for package in locked()}


def test_a_package_without_licence_is_an_error() -> None:
    known = licences()
    del known["numpy"]
    with pytest.raises(KitError, match=r"numpy: no licence in tools/licences\.csv"):
        document(locked(), known)


def test_bill_of_materials_meets_the_schema() -> None:
    text = bill_of_materials(locked(BUILDING), licences())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    broken = text.replace('"SHA-256"', '"SHA-257"', 1)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_bill_of_materials_is_the_locks() -> None:
    content = json.loads(bill_of_materials(locked(BUILDING), licences()))
    found = {
        f"{c['name']}=={c['version']}": {h["content"] for h in c["hashes"]}
        for c in content["components"]
    }
    expected: dict[str, set[str]] = {}
    for need in BUILDING:
        expected |= plainly(LOCKS[need])
    assert found == expected
    assert not {"serialNumber", "timestamp"} & {*content, *content["metadata"]}


def test_command_line_writes_the_same_bytes_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for name in ("one", "other"):
        monkeypatch.setattr(inventory, "DOCUMENT", tmp_path / name / "licences.md")
        monkeypatch.setattr("sys.argv", ["inventory", "--sbom", str(tmp_path / name / "sbom.json")])
        assert inventory.main() == 0
        written.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()})
    assert written[0] == written[1] and sorted(written[0]) == ["licences.md", "sbom.json"]
