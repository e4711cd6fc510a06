"""How fast a model is on a board, measured there or published."""
