"""python describe.py MODEL.tflite > model.h: what detect.c has to know of a file."""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

SCORE = 0.35  # Detections from here on; the table of scores has 0 below.

model = schema.ModelT.InitFromPackedBuf(Path(sys.argv[1]).read_bytes(), 0)
(entry,) = (m for m in model.metadata if m.name == b"nanodet_model_spec")
spec = json.loads(bytes(model.buffers[entry.buffer].data))
size, graph, network = spec["input"], spec["graph"], spec["architecture"]
names = [spec["class_names"][i] for i in graph["class_ids"]] or spec["class_names"]
if size["colour_order"] == "GREY" or graph["space_to_depth"]:
    sys.exit("detect.c takes colours, pixel by pixel")
tensors = {t.name.decode(): t.quantization for t in model.subgraphs[0].tensors}
numbers = {
    "WIDTH": size["width"],
    "HEIGHT": size["height"],
    "KEEP_RATIO": int(size["keep_ratio"]),
    "BGR": int(size["colour_order"] == "BGR"),
    "ROTATED": int(graph["rotated_180"]),
    "OFFSET": network["prior_offset"],
    "BINS": network["reg_max"] + 1,
    "CLASSES": len(names),
    "LEVELS": len(graph["strides"]),
    "CELLS": sum(-(-size["width"] // s) * -(-size["height"] // s) for s in graph["strides"]),
}
for name, value in numbers.items():
    print(f"#define {name} {value}")
print(f"static const int strides[] = {{{', '.join(map(str, graph['strides']))}}};")
tables: dict[str, list[np.ndarray]] = {"scores": [], "weights": []}
for stride in graph["strides"]:
    cls, reg, steps = tensors[f"cls_{stride}"], tensors[f"reg_{stride}"], np.arange(256)
    score = 1 / (1 + np.exp((128 + cls.zeroPoint[0] - steps) * np.float64(cls.scale[0])))
    fixed = np.minimum(np.rint(score * 65536), 65535)
    tables["scores"].append(np.where(score > SCORE, fixed, 0))
    tables["weights"].append(np.rint(np.exp(-steps * np.float64(reg.scale[0])) * 16384))
for name, rows in tables.items():
    print(f"static const uint16_t {name}[LEVELS][256] = {{")
    for row in rows:
        print(f"    {{{', '.join(str(int(value)) for value in row)}}},")
    print("};")
print("static const char *const names[] = {")
for name in names:
    print(f"    {json.dumps(name, ensure_ascii=False)},")
print("};")
