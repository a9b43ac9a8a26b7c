"""Builds the documentation site: ``python scripts/site.py DIRECTORY``.

The pages are those of docs/, and what they link to in the rest of the repository: pages as they
are, sources and folders as pages that show them. A link or an anchor that leads nowhere fails.
Nothing is fetched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

#: Pages beside docs/ that the site has, whether another page links to them or not.
OUTSIDE = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "bench/results.md")

#: What a site shows by itself. Any other file outside of docs/ becomes a page that shows it.
PAGES_AND_PICTURES = {".md", ".svg", ".png"}

LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)\s#]+)")


def main() -> int:
    """Build the site; return the exit code."""
    target = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        shutil.copy(ROOT / "zensical.toml", work)
        lay_out(work / "docs")
        command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
        done = subprocess.run(command, cwd=work, env={**os.environ, "NO_COLOR": "1"})
        if done.returncode == 0:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(work / "site", target)
        return done.returncode


def lay_out(pages: Path) -> None:
    """Write all pages into a folder, with links that fit there."""
    shutil.copytree(DOCS, pages)
    for name in OUTSIDE:
        add(pages, ROOT / name)
    for page in [*DOCS.rglob("*.md"), *(ROOT / name for name in OUTSIDE)]:
        fitted = LINK.sub(partial(fit, pages, page), page.read_text())
        place(pages, page).write_text(fitted)


def fit(pages: Path, page: Path, link: re.Match[str]) -> str:
    """Return a link of a page as it is in the site. What it leads to is put there."""
    target = (page.parent / link[0]).resolve()
    if not target.exists():
        return link[0]
    if not target.is_relative_to(DOCS):
        add(pages, target)
    return os.path.relpath(place(pages, target), place(pages, page).parent)


def place(pages: Path, path: Path) -> Path:
    """Return where a file or a folder of the repository is among the pages."""
    if path.is_relative_to(DOCS):
        return pages / path.relative_to(DOCS)
    copy = pages / path.relative_to(ROOT)
    if path.is_dir():
        return copy / "index.md"
    return copy if path.suffix in PAGES_AND_PICTURES else copy.with_name(f"{path.name}.md")


def add(pages: Path, path: Path) -> None:
    """Put a file or a folder from outside of docs/ among the pages, unless it is there."""
    copy = place(pages, path)
    if copy.exists():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
        links = (f"- [{file.name}]({place(pages, file).name})\n" for file in files)
        copy.write_text(f"# {name}\n\n{''.join(links)}")
        for file in files:
            add(pages, file)
    elif path.suffix in PAGES_AND_PICTURES:
        shutil.copy(path, copy)
    else:
        copy.write_text(f"# {name}\n\n````{language(path)}\n{path.read_text()}\n````\n")


def language(path: Path) -> str:
    """Return the language that a file is shown in."""
    return {"Dockerfile": "docker"}.get(path.name, path.suffix[1:])


if __name__ == "__main__":
    sys.exit(main())
