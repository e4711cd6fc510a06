"""Checkpoint -> lowered network -> ONNX -> TensorFlow SavedModel, with a parity gate a stage."""
