# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests."""

from hypothesis import settings

# Timings depend on who shares the machine, and a failure must be seen again by the next run.
settings.register_profile("vitforge", deadline=None, derandomize=True)
settings.load_profile("vitforge")
