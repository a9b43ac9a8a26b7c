"""Libraries for browsers from npm, each in the version that `npm-packages.txt` names."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

PACKAGES = (Path(__file__).with_name("npm-packages.txt")).read_text().split()


class Library(NamedTuple):
    """A file of a package, and the kind of script that it is."""

    package: str
    file: str
    module: bool

    def find(self, folder: Path) -> bytes:
        """Return the file, out of the packages that `fetch_packages` put into the folder."""
        assert self.package in PACKAGES
        return (folder / self.package / "package" / self.file).read_bytes()


HTMX_2 = Library("htmx.org@2.0.11", "dist/htmx.js", module=False)
HTMX_4 = Library("htmx.org@4.0.1", "dist/htmx.js", module=False)
JQUERY = Library("jquery@3.7.1", "dist/jquery.js", module=False)
SIMPLE_AJAX_UPLOADER = Library("simple-ajax-uploader@2.6.7", "SimpleAjaxUploader.js", module=False)
TURBO = Library("@hotwired/turbo@8.0.23", "dist/turbo.es2017-esm.js", module=True)
UPPY = Library("uppy@6.0.1", "dist/uppy.min.js", module=False)
FILEPOND = Library("filepond@4.32.12", "dist/filepond.js", module=False)
DROPZONE = Library("dropzone@6.3.5", "dist/dropzone-min.js", module=False)

#: What a component of React is built with.
REACT = ("react@19.3.1", "react-dom@19.3.1", "scheduler@0.28.0")
ESBUILD = "esbuild-wasm@0.28.2"


def fetch_packages(folder: Path) -> Path:
    """Download and unpack all packages into a folder; return the folder."""
    pack(folder, *PACKAGES)
    return folder


def pack(folder: Path, *packages: str) -> list[Path]:
    """Download and unpack packages into a folder; return where each is."""
    command = ["npm", "pack", "--json", "--pack-destination", str(folder), *packages]
    packed = subprocess.run(command, check=True, capture_output=True, text=True)
    places = []
    for package in json.loads(packed.stdout):
        with tarfile.open(folder / package["filename"]) as archive:
            archive.extractall(folder / package["id"], filter="data")
        places.append(folder / package["id"] / "package")
    return places


def bundle_react(source: str, folder: Path, work: Path) -> bytes:
    """Return a script of components in TypeScript and React, out of the packages in ``folder``."""
    modules = work / "node_modules"
    modules.mkdir()
    for package in REACT:
        (modules / package.partition("@")[0]).symlink_to(folder / package / "package")
    (work / "app.tsx").write_text(source)
    esbuild = folder / ESBUILD / "package/bin/esbuild"
    options = ["--bundle", "--jsx=automatic", "--preserve-symlinks"]
    define = '--define:process.env.NODE_ENV="production"'
    command = ["node", str(esbuild), "app.tsx", *options, define]
    return subprocess.run(command, cwd=work, check=True, capture_output=True).stdout
