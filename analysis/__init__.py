"""What a TFLite file costs, where it fits and what runs it, from the file alone."""
