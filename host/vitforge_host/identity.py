# SPDX-License-Identifier: Apache-2.0
"""Does the accelerator in the overlay belong to the weight blob?"""

from __future__ import annotations

from collections.abc import Mapping

from vitforge_host.errors import IdentityError

MAGIC = 0x56495446  # "VITF"
FORMAT_VERSION = 2
REGISTERS = ("magic", "version", "hash_lo", "hash_hi")


def check_identity(found: Mapping[str, int | None], design_hash: str) -> None:
    """Compare the identity registers with the design hash of the blob.

    Parameters
    ----------
    found : mapping
        Register name to value, None where the accelerator wrote nothing.
    design_hash : str
        64 hexadecimal digits from the blob's manifest.

    Raises
    ------
    IdentityError
        On the first difference.
    """
    silent = [name for name in REGISTERS if found[name] is None]
    if silent:
        raise IdentityError(f"the accelerator did not report its {silent[0]}; the overlay is not one of vitforge")
    if found["magic"] != MAGIC:
        raise IdentityError(f"the accelerator reports magic 0x{found['magic']:08x}, not 0x{MAGIC:08x}; wrong overlay")
    if found["version"] != FORMAT_VERSION:
        raise IdentityError(
            f"the accelerator has format version {found['version']}, this driver needs {FORMAT_VERSION}; "
            "use the driver that came with the overlay"
        )
    words = [int(found[name] or 0) for name in ("hash_lo", "hash_hi")]
    hardware = b"".join(word.to_bytes(4, "little") for word in words).hex()
    if hardware != design_hash[:16]:
        raise IdentityError(
            f"the overlay was built for design {hardware}…, the weight blob for design {design_hash[:16]}…; "
            "use overlay and blob of the same generated project"
        )
