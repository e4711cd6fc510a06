"""Scenes of everyday shapes made by code, with boxes: the data of the embedded model."""
