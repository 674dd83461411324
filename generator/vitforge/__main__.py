# SPDX-License-Identifier: Apache-2.0
"""``python -m vitforge``."""

from vitforge.cli import main

if __name__ == "__main__":
    main()
