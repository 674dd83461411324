# SPDX-License-Identifier: Apache-2.0
"""What every generated configuration says of itself: its namespace, and the constants of its identity registers."""

from __future__ import annotations

from dataclasses import dataclass


def namespace(name: str, digest: bytes) -> str:
    """C++ namespace of the design ``name`` with the hash ``digest``: two projects can live in one process."""
    return f"vitforge_{name.replace('-', '_')}_{digest.hex()[:8]}"


@dataclass(frozen=True, kw_only=True)
class IdentityContext:
    """Part of the context of a configuration header."""

    namespace: str
    magic: str
    format_version: int
    hash_lo: str
    hash_hi: str

    @classmethod
    def build(cls, name: str, digest: bytes, magic: int, version: int) -> IdentityContext:
        """digest : hash of the design, whose first 8 bytes are two words, little endian"""
        return cls(
            namespace=namespace(name, digest),
            magic=_literal(magic),
            format_version=version,
            hash_lo=_literal(int.from_bytes(digest[:4], "little")),
            hash_hi=_literal(int.from_bytes(digest[4:8], "little")),
        )


def _literal(word: int) -> str:
    return f"0x{word:08x}u"
