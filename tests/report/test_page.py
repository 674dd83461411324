# SPDX-License-Identifier: Apache-2.0
"""The report page: whole by itself, what its pictures show, and as a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import ImageFont

from vitforge.boards import load_board
from vitforge.config import ProjectConfig
from vitforge.generate import generate
from vitforge.report.compare import report
from vitforge.report.page import write_page
from vitforge.report.quality import write_accuracy
from vitforge.sparse_matmul_generate import generate_sparse_matmul

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
NAMES = ("vit", "a3", "sparse_matmul")
FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"  # no system font is much wider
SIZES = {"soft": 12, "inside": 11, "process": 11.5}  # of text by its class, as the page's style has them; else 13


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the model that ships."""
    return generate(board=load_board("zcu104"), output=tmp_path_factory.mktemp("page") / "vit").directory


@pytest.fixture(scope="module")
def pages(vit: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    """Of a Vision Transformer with its timeline, of an A3 project, and of a sparse_matmul overlay."""
    folder = tmp_path_factory.mktemp("pages")
    projects = {
        "vit": vit,
        "a3": request.getfixturevalue("generated"),
        "sparse_matmul": generate_sparse_matmul(board=load_board("zcu104"), output=folder / "matmul").directory,
    }
    for name, directory in projects.items():
        write_page(report(directory), directory, folder / f"{name}.html")
    return {name: (folder / f"{name}.html").read_text() for name in projects}


def page_of(directory: Path, folder: Path) -> str:
    write_page(report(directory), directory, folder / "r.html")
    return (folder / "r.html").read_text()


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def svg(page: str, label: str) -> ElementTree.Element:
    """The picture whose description begins with ``label``."""
    return next(root for root in pictures(page) if root.get("aria-label", "").startswith(label))


def pictures(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.S)]


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter("text")]


def test_pictures_of_each_kernel(pages: dict[str, str]) -> None:
    both = ["Block design", "Resources"]
    assert headings(pages["vit"]) == [
        *both,
        *("Roofline", "Timeline", "Accuracy of the integers", "Loops", "What is missing"),
    ]
    assert headings(pages["a3"]) == [*both, "Roofline", "Loops", "What is missing"]
    assert headings(pages["sparse_matmul"]) == [*both, "Roofline", "Loops", "What is missing"]


@pytest.mark.parametrize("kernel", ["vit", "a3", "sparse_matmul"])
def test_no_kernel_is_above_its_roof(pages: dict[str, str], kernel: str) -> None:
    """What its picture says in words: neither faster than all multipliers nor than DDR."""
    (caption,) = re.findall(r"<figcaption>(Flat part.*?)</figcaption>", pages[kernel], re.S)
    peak, bandwidth, *points = (
        float(number.replace(",", "")) for number in re.findall(r"([\d,.]+) (?:GOPS|GB/s|operations a byte)", caption)
    )
    assert len(points) >= 2
    for speed, intensity in zip(points[::2], points[1::2], strict=True):
        assert 0 < speed <= min(peak, intensity * bandwidth)


def test_the_block_design_shows_what_is_joined(pages: dict[str, str]) -> None:
    shown = svg(pages["a3"], "Processing system")
    assert {"vitforge_a3_0", "axi_dma_0", "axi_intc_0", "queries", "M_AXIS_MM2S", "s2mm_introut"} <= set(texts(shown))
    assert "interrupts_0" not in texts(shown)  # the concat is a wire
    kinds = [(path.get("class") or "").split() for path in shown.iter("path")]
    assert (kinds.count(["wire", "stream"]), kinds.count(["wire", "interrupt"])) == (2, 3)
    for port in ("S_AXI_HP0_FPD", "m_axi_gmem_nsa", "attention array", "pl_ps_irq0"):
        assert port in texts(svg(pages["vit"], "Processing system"))


def test_a_column_for_the_ratio_of_each_tensor(vit: Path, pages: dict[str, str]) -> None:
    ratios = report(vit).quality.sqnr_db
    assert ratios is not None
    columns = svg(pages["vit"], "Ratio of signal").findall("rect")
    assert [column.findtext("title") for column in columns] == [f"{name}: {db:.1f} dB" for name, db in ratios.items()]
    heights = [float(column.get("height", "")) for column in columns]
    assert heights == pytest.approx([db * heights[0] / ratios["patch"] for db in ratios.values()], abs=0.2)
    assert "Least: blocks.4.gelu, 25.2 dB" in pages["vit"]


def test_accuracy_that_was_measured_is_shown(vit: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(vit, tmp_path / "vit"))
    assert any("no accuracy" in sentence for sentence in report(project).missing)
    write_accuracy(project, 0.981, 0.977, 1000)
    found = report(project)
    assert not any("no accuracy" in sentence for sentence in found.missing)
    page = page_of(project, tmp_path)
    for words in ("97.7%", "top-1 of 1,000 images, simulated", "98.1%"):
        assert words in page
    (project / "report/accuracy.json").write_text("{")
    assert any("accuracy.json cannot be read" in sentence for sentence in report(project).missing)


def test_ratios_of_a_model_that_was_pruned_since_are_missing(tmp_path: Path) -> None:
    config = ProjectConfig(kernel="vit", keep=0.5)
    project = generate(board=load_board("zcu104"), output=tmp_path / "vit", config=config).directory
    found = report(project)
    assert found.quality.sqnr_db is None
    assert any("no signal-to-noise ratios" in sentence for sentence in found.missing)


def test_a_page_needs_nothing_beside_it(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert not re.findall(r"""(?:src|href)=|url\((?!#tip\))|@import|https?:""", page)


def test_pictures_say_what_they_show(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert all(root.get("role") == "img" and root.get("aria-label") for root in pictures(page))


def test_intervals_that_differ_stand_out(built: Path, tmp_path: Path) -> None:
    page = page_of(built, tmp_path)
    assert '<tr class="missed"><td>select_step (differs)</td>' in page
    assert "<td>70,321 (31%)</td>" in page
    assert "-0.120 ns" in page
    assert "<b>Pass</b>" in page


def test_names_are_text_and_no_markup(tmp_path: Path) -> None:
    config = ProjectConfig(kernel="sparse_matmul", name="a1")
    directory = generate_sparse_matmul(board=load_board("zcu104"), output=tmp_path / "p", config=config).directory
    project = directory / "project.json"
    project.write_text(project.read_text().replace('"name": "a1"', '"name": "<script>"'))
    assert "<script>" not in page_of(directory, tmp_path)


# --- whether it can be read ------------------------------------------------------------------------------
Box = tuple[float, float, float, float, str]  # left, top, right, bottom, text


def boxes(root: ElementTree.Element) -> list[Box]:
    """Where the words of a picture lie, but for those that are turned."""
    found = []
    for element in root.iter("text"):
        if element.get("transform") or not element.text:
            continue
        size = SIZES.get(element.get("class", ""), 13)
        width = ImageFont.truetype(str(FONT), 100).getlength(element.text) * size / 100
        shift = {"middle": 0.5, "end": 1.0}.get(element.get("text-anchor", ""), 0.0)
        left, base = float(element.get("x", "0")) - shift * width, float(element.get("y", "0"))
        found.append((left, base - 0.75 * size, left + width, base + 0.2 * size, element.text))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_words_lie_within_their_picture_and_on_no_others(name: str, pages: dict[str, str]) -> None:
    for root in pictures(pages[name]):
        _, _, width, height = map(float, root.get("viewBox", "").split())
        words = boxes(root)
        assert words
        for left, top, right, bottom, text in words:
            assert left >= 0 and top >= 0 and right <= width and bottom <= height, text
        for one, other in combinations(words, 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_in_a_browser(name: str, width: int, pages: dict[str, str], tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.fail("there is no Chromium: apt install chromium, or leave these tests out with -m 'not browser'")
    path = tmp_path / "probe.html"
    # A headless window is never narrower than 500, so that a frame stands for a phone.
    (tmp_path / "page.html").write_text(pages[name].replace("</body>", f"{PROBE}</body>"))
    path.write_text(
        f'<iframe id="f" style="width:{width}px;height:900px" src="page.html"></iframe><script>'
        'addEventListener("load", () => setTimeout(() => { document.body.append("found: " + '
        'document.getElementById("f").contentDocument.title) }, 300))</script>'
    )
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'chrome'}", "--allow-file-access-from-files"]
    shown = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120)
    assert "found: wide false empty 0 outside 0" in shown.stdout, shown.stdout[-300:] + shown.stderr[-600:]
