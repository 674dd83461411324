# SPDX-License-Identifier: Apache-2.0
"""Small designs that cover what a big one can meet: dimensions that divide nothing, one head, every beat width."""

from __future__ import annotations

from vitforge.boards import load_board
from vitforge.design.design import Design, Folding
from vitforge.model.vit import ViTShape


def _design(name: str, board: str, shape: ViTShape, folding: Folding) -> Design:
    return Design(name=name, board=load_board(board), shape=shape, folding=folding, clock_mhz=100.0)


DESIGNS = {
    design.name: design
    for design in (
        # Every dimension a multiple of its tile but the token count. The MLP array embeds, in two slices. The resident
        # stores hold all that the streams repeat, to the last beat.
        _design(
            "even",
            "zcu104",
            ViTShape(
                image_size=(16, 16),
                channels=1,
                patch_size=4,
                embed_dim=32,
                depth=2,
                num_heads=2,
                hidden_dim=64,
                num_classes=8,
            ),
            Folding(
                tt_nsa=8,
                tt_nmp=12,
                tc=4,
                tk=8,
                td_nsa=4,
                td_nmp=4,
                mlp_slices=2,
                tr=2,
                lane_banks=1,
                sparse=1,
                resident_nsa=232,
                resident_nmp=330,
            ),
        ),
        # 3 heads of 12 on a k tile of 8; 36 channels, 7 classes; odd drain groups; colour: a patch is longer than the
        # 45 hidden channels. The MLP takes 10 tokens in tiles of 4, two tiles and one; the attention array embeds.
        # Stores with room for some sections only, not always the first ones.
        _design(
            "ragged",
            "zcu104",
            ViTShape(
                image_size=(12, 12),
                channels=3,
                patch_size=4,
                embed_dim=36,
                depth=2,
                num_heads=3,
                hidden_dim=45,
                num_classes=7,
            ),
            Folding(
                tt_nsa=6,
                tt_nmp=4,
                tc=2,
                tk=8,
                td_nsa=3,
                td_nmp=2,
                embed_nsa=1,
                mlp_slices=2,
                lane_banks=1,
                sparse=1,
                resident_nsa=300,
                resident_nmp=205,
            ),
        ),
        # DSP48E1: cascades of four, 64-bit beats; one head, one block; pictures that are not square. Two tokens a tile:
        # no more than two images share a class head.
        _design(
            "one-head",
            "pynq-z2",
            ViTShape(
                image_size=(8, 12),
                channels=1,
                patch_size=4,
                embed_dim=22,
                depth=1,
                num_heads=1,
                hidden_dim=30,
                num_classes=3,
            ),
            Folding(tt_nsa=2, tt_nmp=8, tc=4, tk=4, td_nsa=2, td_nmp=4, embed_nsa=1, sparse=1),
        ),
        # More tokens a tile than the image has; columns as wide as the reduction; one class. A store for one
        # array alone.
        _design(
            "wide",
            "zcu104",
            ViTShape(
                image_size=(12, 12),
                channels=1,
                patch_size=4,
                embed_dim=40,
                depth=1,
                num_heads=2,
                hidden_dim=72,
                num_classes=1,
            ),
            Folding(tt_nsa=20, tt_nmp=30, tc=8, tk=8, td_nsa=10, td_nmp=5, tr=5, resident_nsa=4096),
        ),
        # Three blocks and many classes: the class head is cut into jobs, a step's each, beside the next images. A store
        # for the other array alone.
        _design(
            "sliced-head",
            "zcu104",
            ViTShape(
                image_size=(8, 12),
                channels=1,
                patch_size=4,
                embed_dim=24,
                depth=3,
                num_heads=2,
                hidden_dim=40,
                num_classes=30,
            ),
            Folding(tt_nsa=4, tt_nmp=8, tc=4, tk=4, td_nsa=2, td_nmp=4, embed_nsa=1, tr=2, resident_nmp=4096),
        ),
        # Without a class head: features of every token. The MLP in three slices, the last one a token.
        _design(
            "backbone",
            "pynq-z2",
            ViTShape(
                image_size=(12, 16),
                channels=2,
                patch_size=4,
                embed_dim=21,
                depth=2,
                num_heads=3,
                hidden_dim=26,
                num_classes=0,
            ),
            Folding(tt_nsa=4, tt_nmp=6, tc=2, tk=4, td_nsa=2, td_nmp=3, mlp_slices=3),
        ),
    )
}
