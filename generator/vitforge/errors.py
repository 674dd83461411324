# SPDX-License-Identifier: Apache-2.0
"""Errors that reach a user: one sentence that says what, where and what would be right."""

from __future__ import annotations


class VitforgeError(Exception):
    """Base of all errors of ours; ``exit_code`` is the process exit code (DESIGN section 9)."""

    exit_code = 2


class ConfigError(VitforgeError):
    """A config file, option or name is wrong."""


class ModelError(VitforgeError):
    """A model file, its tensors or its images are wrong."""


class CapacityError(VitforgeError):
    """The design does not fit the board; names resource, need and limit."""


class OutputError(VitforgeError):
    """The output directory cannot be written or is not ours."""


class CheckError(VitforgeError):
    """A check ran and failed: a mismatch, a simulated fault."""

    exit_code = 1


class ToolError(VitforgeError):
    """An external tool is missing or failed; says how to get it."""

    exit_code = 3
