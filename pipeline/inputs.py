"""What a build takes, found on this machine or downloaded."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from convert.foreign_file import refuse_foreign
from data import locate
from pipeline.contract import HELD_OUT, Checkpoint, Inputs, QatInputs
from pipeline.fingerprint import checksum
from runtime.errors import KitError
from runtime.image import list_images
from runtime.spec import ModelSpec

if TYPE_CHECKING:
    from data.annotations import AnnotatedImages

EVALUATED_IMAGES = 50


def find_inputs(options: argparse.Namespace, spec: ModelSpec, origin: ModelSpec) -> Inputs:
    """All that the options of `recipe.sh` name.

    spec: of the network that is built. origin: of the one that its weights are for, which differs
    where `--qat` swaps the activation.
    """
    if (options.annotations is None) != (options.evaluation_images is None):
        raise KitError("--annotations and --evaluation-images belong together; give both")
    weights = locate.weights(origin, options.weights)
    refuse_foreign(weights)  # Before images are downloaded.
    return Inputs(
        weights=weights,
        weights_sha256=checksum(weights),
        images=tuple(locate.calibration_images(spec, options.images)),
        evaluation=_evaluation(options, spec),
        further=locate.further_images(options.quantization_images),
        qat=_fine_tuning(options, spec, Checkpoint(origin, weights)),
    )


def trained_by(options: argparse.Namespace, origin: ModelSpec) -> Literal["authors", "kit", "user"]:
    """Whose weights the build begins with. origin: as `find_inputs` takes it."""
    if options.weights is not None or origin.weights is None:
        return "user"
    return "kit" if origin.weights.committed else "authors"


def _evaluation(options: argparse.Namespace, spec: ModelSpec) -> AnnotatedImages | None:
    """The annotated images; those that happen to be at hand only if they have a class of the
    model."""
    given = options.evaluation_images, options.annotations
    found = locate.evaluation_set(spec, *given, EVALUATED_IMAGES, download=False)
    if found is None:
        return None
    from data.annotations import AnnotatedImages
    from evaluation.coco import annotates

    chosen = AnnotatedImages(*found, EVALUATED_IMAGES)
    of_use = annotates(chosen.path, spec.classes)
    return chosen if of_use or options.annotations is not None else None


def _fine_tuning(
    options: argparse.Namespace, spec: ModelSpec, network: Checkpoint
) -> QatInputs | None:
    if options.qat is None:
        return None
    teacher = None
    if options.teacher is not None:
        whole = spec.graph.strides == spec.architecture.strides
        if whole and spec == network.spec:
            raise KitError(
                f"--teacher {options.teacher}: a network with all its strides learns nothing in "
                "float; give fewer --strides, or another --activation"
            )
        known = locate.model_spec(options.teacher)
        teacher = Checkpoint(known, locate.weights(known, None))
        known.with_classes(spec.classes)  # Refuses a teacher that does not know them.
    pictures = hold_out(list_images(options.qat))
    return QatInputs(network, *pictures, options.qat_epochs, teacher)


def hold_out(pictures: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Pictures to learn from, and a tenth of them, evenly spread, to judge by."""
    judge = tuple(pictures[::HELD_OUT])
    return tuple(p for i, p in enumerate(pictures) if i % HELD_OUT), judge
