"""The engine of our own: an int8 file as a plan, and as C without an interpreter."""

ENGINES = ("c", "tflm")  # This one, and TensorFlow Lite Micro.
DEFAULT = "c"
WEIGHTS = ("int16", "int8")  # Of 1x1 and larger dense convolutions, in flash.
