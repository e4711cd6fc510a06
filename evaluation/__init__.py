"""COCO average precision of anything that detects."""

from evaluation.coco import CocoSet, Scores, detect_all, score

__all__ = ["CocoSet", "Scores", "detect_all", "score"]
