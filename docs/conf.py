# SPDX-License-Identifier: Apache-2.0
"""Sphinx builds the site from the Markdown files that are read on their own as well: make docs."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

project = "vitforge"
author = "the vitforge authors"
project_copyright = "the vitforge authors, Apache-2.0"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # links to headings, as in a#b
html_theme = "furo"
html_title = "vitforge"
html_math_renderer = "mathml"
nitpicky = True  # a link that leads nowhere fails the build


def inline_math(writer: Any, node: nodes.Element) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(writer: Any, node: nodes.Element) -> None:
    formula = convert(node.astext(), display="block")
    writer.body.append(f'<div style="overflow: auto hidden; padding: 0.5em 0">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    # As MathML, so that the site needs no script from elsewhere.
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
