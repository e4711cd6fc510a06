"""The sequencer behind recipe.sh: stages in order, each skipped when its inputs are the same."""
