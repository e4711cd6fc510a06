"""What the doctor knows: one module per family of targets, one function per rule."""
