"""Quantization: float TFLite file -> a verified full-int8 TFLite file. `build` runs it all."""

# In the order in which they run; see `quantize.methods`.
METHODS = ("ranges", "equalize", "reconstruct")

# Of the finished file, in this order; see `quantize.deploy`.
INT8_REWRITES = (
    "shuffle_by_convolutions",
    "convolution_by_slice",
    "stem_strips",
    "space_to_depth",
)
