"""python detect.py MODEL.tflite PICTURE: the kit's detections, without the kit."""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

SCORE, IOU, MOST, CANDIDATES = 0.35, 0.6, 100, 1000


def taps(source: int, target: int, num: int, den: int, keep: bool) -> tuple[np.ndarray, int]:
    """How much each source pixel weighs in each target pixel: (target, source), and their sum."""
    i = np.arange(target)
    if keep:  # About the centres, in 1/32 of a pixel; outside the picture it is black.
        steps, at = 32, np.rint((2 * i - target) * 16 * num / den) + 16 * source
    else:  # Half-pixel centres, in 1/2048 of a pixel; the outermost pixels are repeated.
        inside = np.clip((2 * i + 1) * source - target, 0, (source - 1) * 2 * target)
        steps, at = 2048, np.rint(inside * 2048 / (2 * target))
    first, rest = np.divmod(at.astype(int), steps)
    weights = np.zeros((target, source + 2))  # A black pixel at each end.
    weights[i, np.clip(first + 1, 0, source + 1)] += steps - rest
    weights[i, np.clip(first + 2, 0, source + 1)] += rest
    return weights[:, 1:-1], steps


content = Path(sys.argv[1]).read_bytes()
model = schema.ModelT.InitFromPackedBuf(content, 0)
(entry,) = (m for m in model.metadata if m.name == b"nanodet_model_spec")
spec = json.loads(bytes(model.buffers[entry.buffer].data))
size, graph, network = spec["input"], spec["graph"], spec["architecture"]
names = [spec["class_names"][i] for i in graph["class_ids"]] or spec["class_names"]

rgb = np.asarray(ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("RGB"))
(h, w), (height, width), keep = rgb.shape[:2], (size["height"], size["width"]), size["keep_ratio"]
if size["colour_order"] == "GREY":
    rgb = (rgb @ [9798, 19235, 3735] + 16384 >> 15)[..., None]
num, den = (w, width) if w * height >= h * width else (h, height)
(down, steps), (across, _) = taps(h, height, num, den, keep), taps(w, width, num, den, keep)
total = np.einsum("yh,hwc,xw->yxc", down, rgb, across, optimize=True).astype(int)
pixels = (total + steps * steps // 2) // (steps * steps)
pixels = pixels[..., ::-1] if size["colour_order"] == "BGR" else pixels
turn = slice(None, None, -1 if graph["rotated_180"] else 1)
tensor = (pixels[turn, turn] - 128).astype(np.int8)
if graph["space_to_depth"]:  # Files for ethos-u65: blocks of 2x2 pixels of 4 bytes.
    tensor = np.pad(tensor, ((0, 0), (0, 0), (0, 4 - tensor.shape[2])))
    blocks = tensor.reshape(height // 2, 2, width // 2, 2, 4).transpose(0, 2, 1, 3, 4)
    tensor = blocks.reshape(height // 2, width // 2, -1)
interpreter = Interpreter(model_content=content)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor[None])
interpreter.invoke()

outputs = {o["name"]: o for o in interpreter.get_output_details()}
boxes, scores, ids = [], [], []
for stride in graph["strides"]:
    (cls, cls_scale, cls_zero), (reg, reg_scale, _) = (
        (interpreter.get_tensor(o["index"])[0, turn, turn].astype(int), *o["quantization"])
        for o in (outputs[f"cls_{stride}"], outputs[f"reg_{stride}"])
    )
    score = 1 / (1 + np.exp((cls_zero - cls) * cls_scale))
    row, column, found = np.nonzero(score > SCORE)
    scores += list(np.minimum(np.rint(score[row, column, found] * 65536), 65535))
    bins = reg[row, column].reshape(-1, 4, network["reg_max"] + 1)  # Left, top, right, bottom.
    weight = np.rint(np.exp((bins - bins.max(2, keepdims=True)) * reg_scale) * 16384).astype(int)
    total, unit = weight.sum(2), stride * 16  # Boxes count sixteenths of a pixel.
    far = (weight @ np.arange(bins.shape[2]) * unit + total // 2) // total
    centre = np.stack([column, row], 1) * unit + round(network["prior_offset"] * unit)
    corners = np.concatenate([centre - far[:, :2], centre + far[:, 2:]], 1)
    boxes += list(np.clip(corners, 0, np.array([width, height] * 2) * 16))
    ids += list(found)


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the boxes share more of their union than IOU, in whole numbers."""
    wide, high = np.minimum(a, b)[2:] - np.maximum(a, b)[:2]
    shared = max(wide, 0) * max(high, 0)
    union = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - shared
    return bool(shared * 1024 > union * round(IOU * 1024))


kept: list[int] = []
for k in np.argsort(-np.array(scores), kind="stable")[:CANDIDATES]:
    if not any(ids[k] == ids[j] and overlap(boxes[k], boxes[j]) for j in kept):
        kept.append(k)
scale = np.array([width / w, height / h]) if not keep else np.full(2, min(width / w, height / h))
offset = np.array([width, height]) * 0.5 - scale * (np.array([w, h]) / 2)
for k in kept[:MOST]:
    box = np.clip((boxes[k] / 16 - np.tile(offset, 2)) / np.tile(scale, 2), 0, [w, h, w, h])
    sides = " ".join(f"{side:7.1f}" for side in box.astype(np.float32))
    print(f"{names[ids[k]]:<16} {scores[k] / 65536:.3f}  {sides}")
