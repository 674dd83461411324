# SPDX-License-Identifier: Apache-2.0
"""The programs of benchmarks/ are no package: they import each other by name."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
