# SPDX-License-Identifier: Apache-2.0
"""The report page: whole by itself, and as a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vitforge.boards import load_board
from vitforge.config import ProjectConfig
from vitforge.generate import generate
from vitforge.report.compare import report
from vitforge.report.page import write_page
from vitforge.sparse_matmul_generate import generate_sparse_matmul

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=2000"),
)
# What the page looks like to a script in it: overflow of the page, and size of every picture.
PROBE = """<script>addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth > innerWidth;
  const empty = [...document.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().height < 40).length;
  const outside = [...document.querySelectorAll("svg")].filter(s => {
    const box = s.viewBox.baseVal;
    return [...s.querySelectorAll("text")].some(t => {
      const b = t.getBBox();
      const turned = t.hasAttribute("transform");
      return !turned && (b.x < -1 || b.x + b.width > box.width + 1 || b.y + b.height > box.height + 1);
    });
  }).length;
  document.title = `wide ${wide} empty ${empty} outside ${outside}`;
});</script>"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a Vision Transformer with its timeline, and of a sparse_matmul overlay."""
    folder, board = tmp_path_factory.mktemp("pages"), load_board("zcu104")
    projects = {
        "vit": generate(board=board, output=folder / "vit").directory,
        "sparse_matmul": generate_sparse_matmul(board=board, output=folder / "matmul").directory,
    }
    for name, directory in projects.items():
        write_page(report(directory), directory, folder / f"{name}.html")
    return {name: (folder / f"{name}.html").read_text() for name in projects}


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_pictures_of_a_vision_transformer(pages: dict[str, str]) -> None:
    shown = ["Not there", "Block design", "Resources", "Roofline", "Timeline", "Loops"]
    assert headings(pages["vit"]) == shown
    assert "attention array" in pages["vit"]
    assert "softmax" in pages["vit"]


def test_a_page_needs_nothing_beside_it(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert not re.findall(r"""(?:src|href)=|url\(|@import|https?:""", page)


def test_pictures_say_what_they_show(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert page.count("<svg") == len(re.findall(r'<svg[^>]*role="img"\s+aria-label="[^"]+"', page))


def test_missed_loops_stand_out(built: Path, tmp_path: Path) -> None:
    write_page(report(built), built, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert '<tr class="missed"><td>select_step (missed)</td>' in page
    assert "70,321 of 230,400 (31%) synthesis" in page
    assert "-0.120 ns" in page


def test_names_are_text_and_no_markup(tmp_path: Path) -> None:
    config = ProjectConfig(kernel="sparse_matmul", name="a1")
    directory = generate_sparse_matmul(board=load_board("zcu104"), output=tmp_path / "p", config=config).directory
    project = directory / "project.json"
    project.write_text(project.read_text().replace('"name": "a1"', '"name": "<script>"'))
    write_page(report(directory), directory, tmp_path / "r.html")
    assert "<script>" not in (tmp_path / "r.html").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: apt install chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["vit", "sparse_matmul"])
def test_in_a_browser(name: str, width: int, pages: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "probe.html"
    # A headless window is never narrower than 500, so that a frame stands for a phone.
    (tmp_path / "page.html").write_text(pages[name].replace("</body>", f"{PROBE}</body>"))
    path.write_text(
        f'<iframe id="f" style="width:{width}px;height:900px" src="page.html"></iframe><script>'
        'addEventListener("load", () => setTimeout(() => { document.body.append("found: " + '
        'document.getElementById("f").contentDocument.title) }, 300))</script>'
    )
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'chrome'}", "--allow-file-access-from-files"]
    shown = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120)
    assert "found: wide false empty 0 outside 0" in shown.stdout, shown.stdout[-300:] + shown.stderr[-600:]
