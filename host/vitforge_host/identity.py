# SPDX-License-Identifier: Apache-2.0
"""Does the accelerator in the overlay belong to what it is used with?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vitforge_host.errors import IdentityError

REGISTERS = ("magic", "version", "hash_lo", "hash_hi")


@dataclass(frozen=True)
class Identity:
    """What tells one of our kernels: its name, the type of its IP, and what it reports."""

    name: str  # as `vitforge generate --kernel` takes it
    title: str  # of its overlays, in a sentence
    ip_type: str  # vendor:library:name; the version follows
    magic: int
    version: int  # of its registers and of the data that it takes
    partner: str  # what must be of the same design as the overlay

    @property
    def suffix(self) -> str:
        """Of the description beside an overlay."""
        return f".{self.name}.json"


VIT = Identity("vit", "an overlay", "vitforge:hls:vitforge_vit", 0x56495446, 5, "the weight blob")  # "VITF"
A3 = Identity("a3", "an A3 overlay", "vitforge:hls:vitforge_a3", 0x56464133, 1, "the .a3.json beside it")  # "VFA3"
SPARSE_MATMUL = Identity(
    "sparse_matmul",
    "a sparse_matmul overlay",
    "vitforge:hls:vitforge_sparse_matmul",
    0x5646534D,  # "VFSM"
    1,
    "the .sparse_matmul.json beside it",
)
KERNELS = (VIT, A3, SPARSE_MATMUL)


def check_identity(found: Mapping[str, int | None], design_hash: str, kernel: Identity = VIT) -> None:
    """Compare the identity registers with ``kernel`` and with the design hash of its partner.

    Parameters
    ----------
    found : mapping
        Register name to value, None where the accelerator wrote nothing.
    design_hash : str
        64 hexadecimal digits.
    kernel : Identity

    Raises
    ------
    IdentityError
        On the first difference.
    """
    silent = [name for name in REGISTERS if found[name] is None]
    if silent:
        raise IdentityError(f"the accelerator did not report its {silent[0]}; the overlay is not one of vitforge")
    if found["magic"] != kernel.magic:
        raise IdentityError(
            f"the accelerator reports magic 0x{found['magic']:08x}, not 0x{kernel.magic:08x}; wrong overlay"
        )
    if found["version"] != kernel.version:
        raise IdentityError(
            f"the accelerator has format version {found['version']}, this driver needs {kernel.version}; "
            "use the driver that came with the overlay"
        )
    words = [int(found[name] or 0) for name in ("hash_lo", "hash_hi")]
    hardware = b"".join(word.to_bytes(4, "little") for word in words).hex()
    if hardware != design_hash[:16]:
        raise IdentityError(
            f"the overlay was built for design {hardware}…, {kernel.partner} for design {design_hash[:16]}…; "
            "use both of the same generated project"
        )
