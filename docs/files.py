"""Writing of generated files, so that a second build finds unchanged pages unchanged."""

from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write `content` unless the file has it already."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove the files of a generated folder that are not made any more."""
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.is_file() and path.name not in names:
            path.unlink()


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown table; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in row)} |" for row in lines
    )
