"""What it costs to clip a channel, also in photographs that calibration did not see.

Some channel of a picture exceeds all that a hundred others gave, as often and as far as the
loudest of the hundred exceeds the second: the largest of n + 1 values is as likely the new one as
any other. So each channel's loudest photograph is counted as if it were louder, by the ratios that
are seen between loudest and second over all channels.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

BINS = 64  # Thresholds that the cost is known for, from 0 to the extreme, ...
WIDEST = 1.5  # ... and on at the same distance, to this multiple of it.
_THRESHOLDS = torch.arange(int(BINS * WIDEST) + 1, dtype=torch.float64) / BINS
_QUANTILES = 10


def growth(loudest: Iterable[torch.Tensor]) -> torch.Tensor:
    """How many times louder than its loudest photograph a channel may get: equally likely values.

    loudest: (2, C, 2) of each tensor, see `statistics`. From one photograph nothing can be told.
    """
    first, second = torch.cat([two.flatten(1) for two in loudest], 1)
    ratio = (first / second.clamp(min=1e-30)).clamp(max=WIDEST)[first > 0]
    if not second.any():
        return torch.ones(1, dtype=torch.float64)
    places = (torch.arange(_QUANTILES, dtype=torch.float64) + 0.5) / _QUANTILES
    return ratio.double().sort().values[(places * len(ratio)).long()]


class Moments:
    """Sums of curvature * |x|^k, k = 0, 1, 2, in bins between 0 and either extreme.

    extreme: (C, 2), the largest of -x and of x. Sides go last, the one below 0 first.
    """

    def __init__(self, extreme: torch.Tensor) -> None:
        self._extreme = extreme
        # Of all photographs but the channel's loudest, and of that one.
        self._sums = torch.zeros(2, 3, len(extreme), 2, BINS, dtype=torch.float64)

    def add(self, value: torch.Tensor, curvature: torch.Tensor) -> None:
        """Of one photograph, both (C, H, W)."""
        channels = len(self._extreme)
        x = value.reshape(channels, -1)
        own = torch.stack([-x.amin(1), x.amax(1)], 1)
        # A hair below: a run that keeps gradients may round otherwise.
        loudest = (own >= self._extreme * (1 - 1e-5)).long()
        first_bin = (loudest * channels + torch.arange(channels)[:, None]) * 2 + torch.arange(2)
        per_bin = torch.where(self._extreme == 0, 1.0, self._extreme) / BINS
        negative, x = x < 0, x.abs()
        place = (x / torch.where(negative, per_bin[:, :1], per_bin[:, 1:])).long()
        place.clamp_(0, BINS - 1)
        place += torch.where(negative, first_bin[:, :1], first_bin[:, 1:]) * BINS
        flat, weight = place.flatten(), curvature.reshape(channels, -1).double()
        for power in range(3):
            counted = torch.bincount(flat, weight.flatten(), minlength=4 * channels * BINS)
            self._sums[:, power] += counted.reshape(2, channels, 2, BINS)
            weight = weight * x

    def curvature(self) -> torch.Tensor:
        """Summed over all that was added, (C)."""
        return self._sums[:, 0].sum((0, 2, 3)).float()

    def clip_cost(self, growth: torch.Tensor) -> torch.Tensor:
        """Curvature times squared error, summed, when |x| beyond k / BINS of the extreme is
        clipped there: (2, C, BINS * WIDEST + 1). growth: what the function of that name gives."""
        rest, loudest = (_clip_cost(sums, self._extreme) for sums in self._sums)
        for ratio in growth:
            rest = rest + ratio**2 * _at(loudest, _THRESHOLDS / ratio) / len(growth)
        return rest.permute(1, 0, 2).float()


def _clip_cost(sums: torch.Tensor, extreme: torch.Tensor) -> torch.Tensor:
    """Moments (3, C, 2, BINS) -> cost of clipping at each of `_THRESHOLDS`, (C, 2, thresholds)."""
    beyond = torch.zeros(*sums.shape[:3], len(_THRESHOLDS), dtype=torch.float64)
    beyond[..., :BINS] = sums.flip(3).cumsum(3).flip(3)
    threshold = extreme[..., None].double() * _THRESHOLDS
    cost = beyond[2] - 2 * threshold * beyond[1] + threshold**2 * beyond[0]
    return cost.clamp(min=0)


def _at(table: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """The table between its entries, which are BINS to the extreme."""
    place = thresholds * BINS
    below = place.long().clamp(max=table.shape[-1] - 2)
    part = place - below
    return table[..., below] * (1 - part) + table[..., below + 1] * part
