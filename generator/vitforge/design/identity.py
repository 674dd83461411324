# SPDX-License-Identifier: Apache-2.0
"""What ties an overlay to its weight blob: a magic number, the format version, and the hash of the design."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from vitforge.design.design import Design

MAGIC = 0x56495446  # "VITF"
FORMAT_VERSION = 5  # of the weight streams, the blob and the chunk lists


def design_hash(design: Design) -> bytes:
    """32 bytes (SHA-256) over everything that determines the hardware.

    Labels, weights, the clock and the epsilon of layer norm do not: they are in the streams or set at run time.
    """
    shape = asdict(design.shape)
    del shape["norm_eps"]
    facts = {
        "format": FORMAT_VERSION,
        "part": design.board.part,
        "dsp_family": design.board.dsp_family,
        "axi_bits": design.axi_bits,
        "shape": shape,
        "folding": asdict(design.folding),
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()
