# SPDX-License-Identifier: Apache-2.0
"""Vitis and Vivado: found, driven step by step, and understood when they fail."""
