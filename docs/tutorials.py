"""The notebooks as tutorials."""

from pathlib import Path

from files import keep_only, write

# Those that fit models: shown as they are, unless all shall be run.
SLOW = ("05_", "07_")

HEAD = """\
# Tutorials

Each is a notebook of the repository's folder `notebooks`, and runs from top to bottom:
`make notebooks` executes them all. Those that fit a model are shown here without their output,
for they take minutes.
"""


def collect(notebooks: Path, target: Path) -> None:
    """Copy the notebooks to the folder `target`, and list them on the page of that name."""
    found = sorted(notebooks.glob("*.ipynb"))
    keep_only(target, {path.name for path in found})
    for path in found:
        write(target / path.name, path.read_bytes())
    entries = "\n".join(f"tutorials/{path.stem}" for path in found)
    listing = f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```" if found else "There are none yet."
    write(target.with_suffix(".md"), f"{HEAD}\n{listing}\n")
