from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import KitError
from runtime.yaml_file import read_yaml


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "cannot be read as YAML"),
        (b"\xff\xfe\xff", "cannot be read as YAML"),
        (b"[" * 100_000, r"cannot be read as YAML \(nested too deeply"),
        (b"2001-99-99", "cannot be read as YAML"),
        (b"a: " + b"9" * 10_000, "cannot be read as YAML"),
        (b"!!python/object/apply:os.system [touch ran]", "cannot be read as YAML"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(content)
    with pytest.raises(KitError, match=f"a.yml: {message}"):
        read_yaml(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="--config x: cannot be read"):
        read_yaml(tmp_path / "nowhere.yml", "--config x")


def test_plain_values(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("{a: [1, 2.5], b: {c: null}}")
    assert read_yaml(tmp_path / "a.yml") == {"a": [1, 2.5], "b": {"c": None}}
