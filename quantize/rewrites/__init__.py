"""Rewrites of a quantized file that change no value: they move bytes, or order the work otherwise.
`quantize.deploy` applies them."""
