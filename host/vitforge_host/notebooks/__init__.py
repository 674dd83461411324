# SPDX-License-Identifier: Apache-2.0
"""Notebooks that a wheel of `vitforge package` brought, a folder an overlay; ``pynq get-notebooks`` copies them."""
