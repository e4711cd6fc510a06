"""What a build shows: `report.html` to look at, `MODEL_CARD.md` to publish beside the file."""
