from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.cache import Done, Stage, alone_in, run_stage
from runtime.errors import KitError


class Work:
    """Writes a file and counts its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0
        self.output = folder / "out.bin"

    def __call__(self, **reads: Any) -> Done:
        return run_stage(self.folder, self.stage(self._run, **reads))

    def stage(self, run: Any, **reads: Any) -> Stage:
        return Stage("work", run, (), reads, {"output": self.output})

    def _run(self, output: Path, a: int) -> dict[str, Any]:
        self.runs += 1
        output.write_text("content")
        return {"runs": self.runs}


@pytest.fixture
def stage(tmp_path: Path) -> Work:
    return Work(tmp_path)


def test_same_inputs_skip(stage: Work) -> None:
    first, second = stage(a=1), stage(a=1)
    assert (stage.runs, first.skipped, second.skipped) == (1, False, True)
    assert second.result == {"runs": 1} and second.outputs == first.outputs


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda s: s.output.unlink(), "output gone"),
        (lambda s: s.output.write_text("edited"), "output changed by hand"),
        (lambda s: (s.folder / "work.stamp.json").unlink(), "stamp gone"),
        (lambda s: (s.folder / "work.stamp.json").write_text('{"fing'), "stamp half written"),
        (lambda s: (s.folder / "work.stamp.json").write_text("[]"), "stamp of another kind"),
    ],
)
def test_damage_runs_again(stage: Work, damage: Any, reason: str) -> None:
    stage(a=1)
    damage(stage)
    assert not stage(a=1).skipped, reason
    assert stage.output.read_text() == "content"


def test_changed_inputs_run_again(stage: Work) -> None:
    stage(a=1)
    assert not stage(a=2).skipped
    assert not stage(a=1).skipped, "only the last result is kept"


def test_failed_stage_is_not_remembered(tmp_path: Path) -> None:
    def fail(output: Path, a: int) -> dict[str, Any]:
        raise RuntimeError

    stage = Work(tmp_path)
    stage(a=1)
    with pytest.raises(RuntimeError):
        run_stage(tmp_path, stage.stage(fail, a=2))
    assert not stage(a=1).skipped


def test_a_second_build_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def build(name: str) -> None:
        with alone_in(tmp_path / "work"):
            order.append(f"{name} begins")
            time.sleep(0.2)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=build, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = order[0][0], order[2][0]
    assert order == [f"{first} begins", f"{first} ends", f"{second} begins", f"{second} ends"]
    assert capsys.readouterr().out.count("waiting for it to finish") == 1


def test_no_room_for_a_work_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="cannot be written"), alone_in(tmp_path / "file" / "work"):
        pass


def test_a_build_that_wrote_nothing_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    folder = tmp_path / "out" / "build" / "model"
    with pytest.raises(KitError), alone_in(folder):
        raise KitError("no such weights")
    assert list((tmp_path / "out").iterdir()) == []
    with alone_in(folder):
        (folder / "model.onnx").write_text("")
    with pytest.raises(KitError), alone_in(folder):
        raise KitError("a gate")
    assert (folder / "model.onnx").is_file()
