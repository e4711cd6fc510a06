from __future__ import annotations

import dataclasses

import pytest

from pipeline.report.contract import Findings, Job, Missing
from pipeline.report.noise import noise
from runtime.tflite_file import TfliteFile


def test_every_rounded_tensor(found: Findings) -> None:
    assert not isinstance(found.noise, Missing)
    assert len(found.noise) > 50 and len({t.name for t in found.noise}) == len(found.noise)
    assert all(5 < t.own_db < 90 for t in found.noise)
    below = sum(t.total_db <= t.own_db + 1 for t in found.noise)
    assert below > 0.9 * len(found.noise), "what comes before adds noise"


@pytest.mark.parametrize("quantization", ["int16x8", "float16", "dynamic"])
def test_others_say_why_not(job: Job, quantization: str) -> None:
    content = {**job.content, "quantization": {"quantization": quantization}}
    found = noise(dataclasses.replace(job, content=content), TfliteFile.read(job.tflite))
    assert isinstance(found, Missing) and quantization in found.why
