# SPDX-License-Identifier: Apache-2.0
"""Checks of generated HLS sources that C simulation cannot make: what the vendor's tool will accept and do with them.

`lint_project` is the Python call of ``vitforge lint``; `vitforge.lint.rules` lists what is checked (docs/lint.md: why).
"""

from vitforge.lint.findings import Finding, LintResult
from vitforge.lint.run import lint_hls, lint_project

__all__ = ["Finding", "LintResult", "lint_hls", "lint_project"]
