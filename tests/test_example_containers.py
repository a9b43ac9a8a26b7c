"""The examples of containers. Docker is not needed: their own commands run without it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import dockerfile
import pytest
from ruamel.yaml import YAML

from tests.gateway.running import eventually
from tests.stores.store_servers import RedisServer

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "examples/Dockerfile"
COMPOSE = ROOT / "examples/compose.yaml"

#: Whether these tests may make the root read-only, in a namespace of their own.
AS_ROOT = os.geteuid() == 0


#: The paths of the image that are not on this machine.
_PATHS = re.compile(r"(?<!\w)/(?:opt|src|uploads)\b")


class Image(NamedTuple):
    """What the Dockerfile makes, below a directory."""

    root: Path
    entrypoint: list[str]
    command: list[str]
    health: list[str]

    def here(self, text: str) -> str:
        """Return a text with the paths of the image as they are on this machine."""
        return _PATHS.sub(lambda found: f"{self.root}{found[0]}", text)

    def start(self, command: list[str], redis: str = "") -> subprocess.Popen[str]:
        """Start the image's program on a free port, with a root that is read-only."""
        words = [self.here(word) for word in (*self.entrypoint, *command)]
        words = [word.replace("0.0.0.0:8080", "127.0.0.1:0") for word in words]
        words = [word.replace("redis://redis:6379", redis) for word in words]
        return subprocess.Popen(
            [*self._read_only(), *words],
            cwd="/",
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _read_only(self) -> list[str]:
        if not AS_ROOT:
            return []
        uploads = shlex.quote(f"{self.root}/uploads")
        script = (
            f"mount --bind {uploads} {uploads}; mount --types tmpfs tmpfs /tmp; "
            f"mount --options remount,ro,bind /; "
            f'touch {shlex.quote(str(self.root))} 2>/dev/null && exit 1; exec "$@"'
        )
        return ["unshare", "--mount", "sh", "-ec", script, "sh"]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Do what the Dockerfile says, with its paths below a directory of the tests."""
    steps = dockerfile.parse_file(str(DOCKERFILE))
    words = {step.cmd: list(step.value) for step in steps}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as root:
        image = Image(Path(root), words["ENTRYPOINT"], words["CMD"], words["HEALTHCHECK"][1:])
        for step in steps:
            if step.cmd == "COPY" and not step.flags:
                *sources, target = step.value
                for source in sources:
                    _copy(ROOT / source, Path(image.here(target)), into=target.endswith("/"))
            elif step.cmd == "RUN":
                _run(image, *step.value)
        yield image


def _run(image: Image, script: str) -> None:
    (image.root / "opt").mkdir()
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["sh", "-ec", image.here(script)],
        cwd=image.root,
        env=os.environ | {"PATH": programs},
        check=True,
        capture_output=True,
    )


def _copy(source: Path, target: Path, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target / source.name if into else target)


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(30)
    assert process.stdout is not None
    process.stdout.close()
    assert process.returncode == 0


def ask(url: str) -> Any:
    done = subprocess.run(["curl", "-sS", "-m", "9", url], check=True, capture_output=True)
    return json.loads(done.stdout)


def upload(url: str, identifier: str) -> None:
    command = ["curl", "-sSf", "-m", "9", "-F", f"file=@{DOCKERFILE}"]
    where = f"{url}upload?X-Progress-ID={identifier}"
    subprocess.run([*command, where], check=True, capture_output=True)


def test_the_image_serves_without_rights(image: Image) -> None:
    process = image.start(image.command)
    try:
        url = url_of(process)
        probe = [image.here(word).replace("http://127.0.0.1:8080/", url) for word in image.health]
        subprocess.run(probe, check=True, capture_output=True, timeout=30)
        upload(url, "one")
    finally:
        end(process)
    saved = image.root / "uploads" / DOCKERFILE.name
    assert saved.read_bytes() == DOCKERFILE.read_bytes()
    saved.unlink()
    steps = dockerfile.parse_file(str(DOCKERFILE))
    assert [step.value for step in steps if step.cmd == "USER"] == [("10001:10001",)]


def load() -> Any:
    return YAML(typ="safe").load(COMPOSE)


def test_the_gateways_of_compose_answer_for_each_other(image: Image, tmp_path: Path) -> None:
    services = load()["services"]
    server = RedisServer(tmp_path, "--bind", "127.0.0.1", *services["redis"]["command"][1:])
    server.start()
    with ExitStack() as stack:
        stack.callback(server.kill)
        urls = []
        for name in ("first", "second"):
            process = image.start(services[name]["command"], server.url)
            stack.callback(end, process)
            urls.append(url_of(process))
        upload(urls[0], "two")
        shown = f"{urls[1]}progress?X-Progress-ID=two"
        eventually(lambda: ask(shown)["state"] == "done")


def test_compose_is_what_its_schema_allows() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", COMPOSE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_no_container_of_compose_has_rights() -> None:
    services = load()["services"]
    assert set(services) == {"first", "second", "redis"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
