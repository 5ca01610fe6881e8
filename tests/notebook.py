"""Run the notebook and keep what its cells put out, and nothing about where and when they ran.

python -m tests.notebook
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "basic_kmeans.ipynb"


def run(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of all its cells."""
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": NOTEBOOK.parent}},
    )
    done = client.execute()
    done.metadata["language_info"] = {"name": "python"}
    return done


if __name__ == "__main__":
    done = run(nbformat.read(NOTEBOOK, as_version=4))
    NOTEBOOK.write_text(nbformat.writes(done) + "\n", encoding="utf-8")
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size / 1e6:.2f} MB")
