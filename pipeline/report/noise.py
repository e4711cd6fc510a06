"""What rounding to int8 does to each tensor."""

from __future__ import annotations

from calibration import canvases
from pipeline.report.contract import Job, Missing, Noise
from quantize.scheme import SCHEMES
from runtime.tflite_file import TfliteFile

IMAGES = 4


def noise(job: Job, file: TfliteFile) -> tuple[Noise, ...] | Missing:
    """Each rounded tensor on the first calibration images, in the network's order."""
    name = job.content["quantization"]["quantization"]
    if name not in SCHEMES or SCHEMES[name].wide:
        return Missing(f"Only int8 activations are inspected; this file is {name}.")
    import torch

    from convert.engines import input_tensor
    from quantize.float_graph import FloatGraph
    from quantize.sensitivity import noise as measure

    photographs = canvases(job.calibration[:IMAGES], file.spec.input)
    images = torch.cat([input_tensor(canvas, file.spec) for canvas in photographs])
    found = measure(FloatGraph.parse(file.content), images)
    return tuple(Noise(t.name, t.noise_db, t.total_db) for t in found)
