"""COCO average precision of anything that detects."""

from evaluation.coco import CocoSet, Scores, ap_detector, detect_all, score
from evaluation.shards import Job, detect_sharded

__all__ = ["CocoSet", "Job", "Scores", "ap_detector", "detect_all", "detect_sharded", "score"]
