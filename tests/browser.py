"""A real browser: opens TensorBoard's dashboards; takes the pictures of README and documentation.

    python tests/browser.py --data data/mnist.npz --output docs/images

This trains three runs, one of which it resumes, compares loops, and writes the pictures. It needs
Chromium.
"""

import contextlib
import dataclasses
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tyro
from PIL import Image

from kerasmlp.exporting import runtimes, strokes

CHROMIUM = next(filter(None, map(shutil.which, runtimes.BROWSERS)), None)
FLAGS = (
    *("--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--disable-quic"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # Projector draws with WebGL
)
TIMEOUT = 60_000
"""The longest time to wait for an element of a page, in milliseconds."""


@contextlib.contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """Run a real TensorBoard on a free port; yield its address.

    TensorBoard reads all of `logdir` before it answers, and reads nothing later. So what it shows does
    not depend on the time of a request.
    """
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logdir.name, "--port", "0"]
    command += ["--host", "127.0.0.1", "--load_fast", "false"]
    command += ["--reload_task", "blocking", "--reload_interval", "0"]
    server = subprocess.Popen(command, cwd=logdir.parent, stderr=subprocess.PIPE, text=True)
    try:
        words = (word for line in server.stderr for word in line.split())
        address = next(word for word in words if word.startswith("http://127.0.0.1"))
        # The server would stop at a full pipe.
        drain = threading.Thread(target=server.stderr.read, daemon=True)
        drain.start()
        yield address
    finally:
        server.kill()
        server.wait()
        drain.join()
        server.stderr.close()


@contextlib.contextmanager
def browser(**context: Any) -> Iterator[Any]:
    """Run Chromium without a window; yield a page. `context` has options of Playwright's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = runtimes.chromium(playwright, args=FLAGS)
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 900}, **context})
        page.set_default_timeout(TIMEOUT)
        try:
            yield page
        finally:
            chromium.close()


@dataclasses.dataclass(frozen=True)
class Dashboards:
    """The dashboards of a TensorBoard in a browser. Each method waits until its content is shown.

    Attributes:
        page: the page of the browser.
        address: the address of TensorBoard.
    """

    page: Any
    address: str

    def open(self, plugin: str, shown: str, query: str = "", fragment: str = "") -> Any:
        """Open a dashboard. Wait for the elements of the selector `shown`, and return them."""
        elements = self.page.locator(shown)
        # TensorBoard finds out in the background which dashboards have data. Before, a page is empty.
        for _ in range(TIMEOUT // 10_000):
            self.page.goto("about:blank")
            self.page.goto(f"{self.address}{query}#{plugin}{fragment}")
            with contextlib.suppress(Exception):
                elements.first.wait_for(state="attached", timeout=10_000)
                break
        elements.first.wait_for(state="attached")
        self.page.wait_for_load_state("networkidle")
        time.sleep(2)  # animations
        return elements

    def time_series(self, tags: str = "", runs: str = "") -> dict[str, dict[str, tuple[float, int]]]:
        """Show Time Series. Return for each tag and run the last value and its step.

        Args:
            tags: a regular expression for the tags.
            runs: a regular expression for the runs.
        """
        query = f"?tagFilter={tags}&runFilter={runs}&smoothing=0"
        self.open("timeseries", "scalar-card tb-data-table-content-row", query)
        shown = {}
        for card in self.page.locator("scalar-card").all():
            tag = _words(card.locator(".tag").first).replace(" ", "")
            rows = [_words(row).split() for row in card.locator("tb-data-table-content-row").all()]
            shown[tag] = {
                run: (float(value), int(step.replace(",", ""))) for run, value, step, *_ in rows
            }
        return shown

    def graph(self, run: str) -> set[str]:
        """Show Graphs of a run. Return the names of its nodes."""
        self.open("graphs", "g.node[data-name=prepare]")
        self.page.locator("tf-graph-controls paper-dropdown-menu").first.click()
        self.page.locator(f"paper-item:has-text('{run}')").first.click()
        time.sleep(4)  # it is drawn again
        nodes = self.page.locator("g.node[data-name]")
        return set(nodes.evaluate_all("nodes => nodes.map(node => node.getAttribute('data-name'))"))

    def images(self, tags: str = "", runs: str = "") -> dict[tuple[str, str], int]:
        """Show Images. Return the width in pixels of each image, by run and tag."""
        images = self.open(
            "images", "tf-image-loader img", fragment=f"&tagFilter={tags}&regexInput={runs}"
        )
        script = "image => image.decode().then(() => image.naturalWidth)"
        widths = [image.evaluate(script) for image in images.all()]
        loaders = self.page.locator("tf-image-loader:has(img)")
        keys = loaders.evaluate_all("loaders => loaders.map(loader => [loader.run, loader.tag])")
        return {(run, tag): width for (run, tag), width in zip(keys, widths, strict=True)}

    def hparams(self, *runs: str) -> list[dict[str, str]]:
        """Show HParams. Return the rows of some runs, with the columns that can be seen at once."""
        self.open("hparams", "vaadin-grid-cell-content:has-text('Trial ID')")
        script = """cells => cells.map(cell => [cell, cell.getBoundingClientRect()])
            .filter(([cell, place]) => place.width > 0 && place.left < innerWidth)
            .map(([cell, place]) => [place.top + place.bottom, place.left, cell.textContent])"""
        cells = sorted(self.page.locator("vaadin-grid-cell-content").evaluate_all(script))
        lines = [
            [" ".join(text.split()) for _, _, text in line]
            for _, line in itertools.groupby(cells, key=lambda cell: cell[0])
        ]
        rows = {line[0]: dict(zip(lines[0], line, strict=False)) for line in lines}
        return [rows[run] for run in runs]

    def pr_curves(self) -> list[str]:
        """Show PR Curves. Return the tags that have a curve."""
        self.open("pr_curves", "tf-pr-curve-card path.line")
        cards = self.page.locator("tf-pr-curve-card:has(path.line)")
        return cards.evaluate_all("cards => cards.map(card => card.tag)")

    def projector(self) -> str:
        """Show Projector. Return its text on the number of points and dimensions."""
        self.open("projector", "iframe")
        frame = self.page.frame_locator("iframe").frame_locator("iframe")
        frame.get_by_text("Total variance described").wait_for()
        time.sleep(5)  # animations
        return " ".join(map(_words, frame.locator(".numDataPoints, .dim").all()))


COMPARED = """
import rich.console, kerasmlp.comparison.tables
console = rich.console.Console(record=True, width=84, file=open(os.devnull, "w"))
agreement, *_ = kerasmlp.comparison.tables.tables(found.outcomes)
console.print(agreement, found.diagnosis + "\\n", found.summary, sep="\\n", highlight=False)
console.save_svg({path!r}, title="kerasmlp.compare_loops")
"""


def show_comparison(page: Any) -> Any:
    """Run the comparison of the README, and show its verdicts. Return the picture."""
    readme = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")
    program = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[0]
    with tempfile.TemporaryDirectory() as folder:
        script, drawn = Path(folder, "script.py"), Path(folder, "drawn.svg")
        program = f"import os\n{program.replace('print(kerasmlp', 'found = (kerasmlp')}"
        script.write_text(program + COMPARED.format(path=str(drawn)), encoding="utf-8")
        subprocess.run([sys.executable, script], check=True)
        page.set_content(drawn.read_text("utf-8"))
    return page.locator("svg")


def places(page: Any, stroke: Any) -> list[tuple[float, float]]:
    """Return where a pointer goes along a stroke, on the paper that `export --format html` wrote."""
    box = page.locator("#paper").bounding_box()
    scale = box["width"] / strokes.SIDE
    return [(box["x"] + scale * x, box["y"] + scale * y) for x, y in stroke["points"]]


def draw(page: Any, digit: Any) -> None:
    """Draw strokes with the mouse, on that paper."""
    page.locator("#paper").scroll_into_view_if_needed()
    for stroke in digit:
        first, *others = places(page, stroke)
        page.mouse.move(*first)
        page.mouse.down()
        for place in others:
            page.mouse.move(*place)
        page.mouse.up()


def show_page(page: Any, run: Path) -> Any:
    """Export a run as a page, draw a 7, and touch the unit that is lit most. Return the picture."""
    command = [sys.executable, "-m", "kerasmlp.export", run, "--format", "html"]
    subprocess.run([str(part) for part in command], check=True)
    page.goto((run / "export/model.html").as_uri())
    draw(page, strokes.drawn_digits(8, seed=1)[0][7])
    values = page.evaluate("shown.reading[0].values")
    page.locator(".units button").nth(values.index(max(values))).click()
    page.evaluate("scrollTo(0, 0)")
    return page.locator("body")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Train runs, show them in TensorBoard, and take the pictures of README and documentation.

    Args:
        data: The training data, as in kerasmlp.train.
        output: The folder for the pictures.
    """

    data: str = "mnist"
    output: Path = Path("docs/images")


def make_runs(logdir: Path, data: str) -> None:
    """Train two runs and a resumed one, and compare two loops."""
    train = ["-m", "kerasmlp.train", "--data", data, "--logdir", logdir]
    for command in (
        [*train, "--name", "fit"],
        [*train, "--name", "narrow", "--loop", "graph", "--hidden-units", "20"],
        [*train, "--name", "resumed", "--epochs", "2", "--learning-rate", "0.003"],
        [*train, "--name", "resumed", "--resume", "--epochs", "5"],
        [
            *("-m", "kerasmlp.compare", "--data", data, "--loops", "fit", "graph"),
            *("--epochs", "1", "--repeats", "1", "--output", logdir / "compared"),
        ],
    ):
        subprocess.run([sys.executable, *map(str, command)], check=True)


def main() -> None:
    """Write the pictures."""
    settings = tyro.cli(Settings, prog="python tests/browser.py")
    settings.output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        logdir = Path(folder, "logs")
        make_runs(logdir, settings.data)
        with tensorboard(logdir) as address, browser() as page:
            shown = Dashboards(page, address)
            runs = "fit|narrow|resumed"
            for name, show in {
                "time-series": lambda: shown.time_series("^(loss|accuracy)/", f"^({runs})/"),
                "graph": lambda: shown.graph("narrow/train"),
                "images": lambda: shown.images("trained", "fit/"),
                "hparams": lambda: shown.hparams(*runs.split("|")),
                "pr-curves": shown.pr_curves,
                "projector": shown.projector,
            }.items():
                print(f"{name}: {show()}")
                _save(page, settings.output / f"{name}.png")
            _save(show_comparison(page), settings.output / "comparison.png")
            _save(show_page(page, logdir / "fit"), settings.output / "draw.png")


def _save(shown: Any, path: Path) -> None:
    """Save a picture of what is shown, as a small file."""
    shown.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
    small.save(path, optimize=True)


def _words(element: Any) -> str:
    return " ".join(element.text_content().split())


if __name__ == "__main__":
    main()
