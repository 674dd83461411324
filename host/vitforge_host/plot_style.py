# SPDX-License-Identifier: Apache-2.0
"""How all our plots look."""

from __future__ import annotations

from typing import Any

# Okabe and Ito: told apart by all forms of colour vision.
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
GREY, PALE = "#666666", "#EEEEEE"  # words beside data, and what lies behind them
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
}
