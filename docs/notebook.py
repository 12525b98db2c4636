"""Makes `notebooks/handbook.ipynb` of the tutorial, so that its text stands once.

    python docs/notebook.py

Each block of Python is a cell of code; what is between them is a cell of text. A comparison that the
tutorial prints is the value of its cell, which a notebook shows as tables and a figure.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs/tutorial/handbook.md"
NOTEBOOK = ROOT / "notebooks/handbook.ipynb"


def notebook(markdown: str) -> str:
    """Return a page as a notebook, in Jupyter's format 4.5, without outputs."""
    parts = re.split(r"^```python\n(.*?)^```\n", markdown, flags=re.MULTILINE | re.DOTALL)
    cells = [
        _cell(number, text.strip("\n"), is_code=number % 2 == 1)
        for number, text in enumerate(parts)
        if text.strip()
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, text: str, *, is_code: bool) -> dict[str, Any]:
    if is_code:
        text = re.sub(r"^print\((result)\)$", r"\1", text, flags=re.MULTILINE)
    else:
        text = re.sub(r"\]\((\.\./[^)]*\.md)", lambda link: f"]({_from_notebooks(link[1])}", text)
    source = text.splitlines(keepends=True)
    cell = {"cell_type": "code" if is_code else "markdown", "id": f"cell-{number}", "metadata": {}}
    return cell | ({"execution_count": None, "outputs": []} if is_code else {}) | {"source": source}


def _from_notebooks(link: str) -> str:
    """Return a link of the tutorial as one from the folder of the notebooks."""
    return posixpath.join("..", posixpath.normpath(posixpath.join("docs/tutorial", link)))


if __name__ == "__main__":
    NOTEBOOK.parent.mkdir(exist_ok=True)
    NOTEBOOK.write_text(notebook(TUTORIAL.read_text(encoding="utf-8")), encoding="utf-8")
