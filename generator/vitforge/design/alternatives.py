# SPDX-License-Identifier: Apache-2.0
"""Which other board holds a model that does not fit the one that was asked for."""

from __future__ import annotations

from collections.abc import Mapping

from vitforge.boards import RESOURCES, Board, list_boards, load_board
from vitforge.errors import CapacityError, VitforgeError
from vitforge.model.vit import ViTShape


def board_that_fits(
    shape: ViTShape, board: Board, clock_mhz: float | None = None, overrides: Mapping[str, int] | None = None
) -> str | None:
    """Name of the smallest board that ships, by DSPs, on which ``shape`` fits; None if it fits none.

    board : the one that does not hold it
    clock_mhz, overrides : as in `vitforge.design.fit.fit`; a board that cannot do these does not fit
    """
    others = [load_board(name) for name in list_boards() if name != board.name]
    for other in sorted(others, key=lambda candidate: (candidate.dsp, candidate.name)):
        if not _is_within(other, board) and _fits(shape, other, clock_mhz, overrides):
            return other.name
    return None


def with_alternative(
    error: CapacityError,
    shape: ViTShape,
    board: Board,
    clock_mhz: float | None = None,
    overrides: Mapping[str, int] | None = None,
) -> CapacityError:
    """The refusal ``error`` of ``board`` with the board that would do, or that none of those that ship would.

    Outside `fit`, which is asked about every other board and would otherwise ask in turn.
    """
    other = board_that_fits(shape, board, clock_mhz, overrides)
    return CapacityError(f"{error}; " + (f"it fits {other}" if other else "it fits no board that ships"))


def _is_within(other: Board, board: Board) -> bool:
    """Whether ``other`` builds the same designs as ``board`` with no more of anything, and so cannot hold more."""
    alike = (other.dsp_family, other.axi_bits) == (board.dsp_family, board.axi_bits)
    return alike and all(other.limit(name) <= board.limit(name) for name in RESOURCES)


def _fits(shape: ViTShape, board: Board, clock_mhz: float | None, overrides: Mapping[str, int] | None) -> bool:
    from vitforge.design.fit import fit  # only here: most runs need no other board

    try:
        fit(shape, board, clock_mhz=board.legal_clock(clock_mhz) if clock_mhz else None, overrides=overrides)
    except VitforgeError:
        return False
    return True
