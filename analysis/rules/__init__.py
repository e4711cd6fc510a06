"""What the doctor knows: a module a family of targets, a function a rule."""
