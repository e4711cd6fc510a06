"""Quantization: float TFLite file -> a verified full-int8 TFLite file. `build` runs it all."""

# In the order in which they run; see `quantize.methods`.
METHODS = ("ranges", "equalize", "reconstruct")
