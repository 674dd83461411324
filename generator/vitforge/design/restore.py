# SPDX-License-Identifier: Apache-2.0
"""How the outputs that pruning kept are cut into column tiles, so that the drain restores them at their channels.

A tile has tc columns, and the residual tc lanes. In a pass over the tokens each lane takes one column at most; where
the lanes share an address, all columns of a pass are of one word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitforge.design.geometry import ceil_div


@dataclass(frozen=True)
class RestoreTile:
    """Channels of a column tile, and the pass of each."""

    channels: tuple[int, ...]
    passes: tuple[int, ...]

    @property
    def pass_count(self) -> int:
        return max(self.passes) + 1


def free_passes(steps: int, tokens: int, tr: int) -> int:
    """Passes over ``tokens``, tr at a time, that a tile of ``steps`` cycles hides: tiles of as many or fewer are one
    job, and those of more are one for each number."""
    return max(1, steps // ceil_div(tokens, tr))


def restore_tiles(keep: NDArray[np.bool_], tc: int, lane_banks: int) -> list[RestoreTile]:
    """Tiles that cover the kept channels of ``keep`` (D,), those with fewest passes first."""
    cut = _by_lane if lane_banks else _by_word
    return sorted(cut(np.flatnonzero(keep).tolist(), tc), key=lambda tile: tile.pass_count)


def unmoved(keep: NDArray[np.bool_], tc: int, lane_banks: int) -> NDArray[np.bool_]:
    """(D,) channels that tiles of ``keep`` do not write: what is pruned, or whole words of it where the lanes of a word
    are written together."""
    if lane_banks:
        return ~keep
    words = np.pad(keep, (0, -len(keep) % tc)).reshape(-1, tc).any(axis=1)
    return ~np.repeat(words, tc)[: len(keep)]


def _by_word(channels: list[int], tc: int) -> list[RestoreTile]:
    """Whole words, the fullest ones first, each into the fullest tile that has room. A word is in one tile alone: the
    lanes that a pass does not add to are written back, and no other pass may change them meanwhile."""
    words: dict[int, list[int]] = {}
    for channel in channels:
        words.setdefault(channel // tc, []).append(channel)
    tiles: list[list[list[int]]] = []
    for word in sorted(words.values(), key=len, reverse=True):
        room = [tile for tile in tiles if sum(map(len, tile)) + len(word) <= tc]
        if room:
            max(room, key=lambda tile: sum(map(len, tile))).append(word)
        else:
            tiles.append([word])
    return [
        RestoreTile(
            tuple(channel for word in tile for channel in word),
            tuple(number for number, word in enumerate(tile) for _ in word),
        )
        for tile in tiles
    ]


def _by_lane(channels: list[int], tc: int) -> list[RestoreTile]:
    """As few tiles as there can be. Lanes with more channels than tiles are given second passes in the same ones."""
    lanes: list[list[int]] = [[] for _ in range(tc)]
    for channel in channels:
        lanes[channel % tc].append(channel)
    tiles = []
    for left in range(ceil_div(len(channels), tc), 0, -1):
        counts = _lane_counts([len(lane) for lane in lanes], left)
        taken = [(number, lanes[lane].pop(0)) for lane, count in enumerate(counts) for number in range(count)]
        tiles.append(RestoreTile(tuple(channel for _, channel in taken), tuple(number for number, _ in taken)))
    return tiles


def _lane_counts(lengths: list[int], left: int) -> list[int]:
    """Channels that the next of ``left`` tiles takes of each lane."""
    counts, room = [0] * len(lengths), len(lengths)
    longest = sorted(range(len(lengths)), key=lambda lane: -lengths[lane])
    # Lanes that need a place in every tile; those that need more; then the others, longest first; then what is left.
    needs = [lane for lane in longest if lengths[lane] >= left]
    more = [lane for lane in longest if lengths[lane] > left]
    others = [lane for lane in longest if 0 < lengths[lane] < left]
    rest = [lane for lane in longest for _ in range(lengths[lane])] if left == 1 else []
    for lane in needs + more + others + rest:
        if room and counts[lane] < lengths[lane]:
            counts[lane] += 1
            room -= 1
    return counts
