"""The engine of our own: an int8 file as a plan, and as C without an interpreter."""
