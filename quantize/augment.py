"""Other pictures out of the calibration photographs, to learn from without learning them by heart.

A network that is adapted to a hundred photographs overfits them (as QDrop found, arXiv:2203.05740);
what is learned from ever other copies holds for pictures that were not seen.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

# Of the picture's size, of its contrast, and of the span from black to white.
_ZOOM, _SHIFT, _CONTRAST, _BRIGHTNESS = 1.5, 0.25, 0.2, 0.08
_LEVELS = 255


def vary(
    images: torch.Tensor, pixels: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Each image zoomed, shifted, lighter or darker, with more contrast or less, half of them
    mirrored; what lies outside is mirrored in. (N, 3, H, W), as the graph takes them.

    pixels: what 0 and 255 are there. The result holds whole grey levels, as a photograph does.
    """
    count = len(images)

    def drawn(limit: float, width: int = 1) -> torch.Tensor:
        return (torch.rand(count, width, generator=generator) * 2 - 1) * limit

    zoom = drawn(math.log(_ZOOM)).exp()
    mirror = torch.where(drawn(1.0) < 0, -1.0, 1.0)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = (zoom * mirror)[:, 0], zoom[:, 0]
    matrix[:, :, 2] = drawn(2 * _SHIFT, 2)  # From -1 to 1 across the picture.
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    low, high = pixels
    mean = moved.mean((1, 2, 3), keepdim=True)
    contrast = 1 + drawn(_CONTRAST)[..., None, None]
    brightness = drawn(_BRIGHTNESS * (high - low))[..., None, None]
    step = (high - low) / _LEVELS
    levels = ((moved - mean) * contrast + mean + brightness - low) / step
    return levels.round().clamp(0, _LEVELS) * step + low
