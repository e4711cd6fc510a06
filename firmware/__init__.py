"""NanoDet on microcontrollers: the C library, its Python counterpart, and the generator."""
