"""Debian's Prometheus reads a real gateway, and answers each query of the example dashboard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.gateway.origin import Origin
from tests.gateway.running import eventually
from tests.gateway.serving import Serving
from tests.ports import free_port

EXAMPLES = Path(__file__).parents[1] / "examples"

SITE = """
setup {
    module_load ["mod_progress", "mod_proxy", "mod_access"];
    listen "127.0.0.1:0";
    workers 2;
}
if req.path == "/metrics" {
    if req.remoteip =/ "127.0.0.0/8" { progress.metrics; } else { access.deny; }
}
else if req.path == "/foreign" {
    if req.remoteip =/ "10.0.0.0/8" { progress.metrics; } else { access.deny; }
}
else { progress.track; proxy "ORIGIN"; }
"""


class Prometheus:
    """A real server that scrapes a gateway twice a second."""

    def __init__(self, directory: Path, target: str) -> None:
        yaml = YAML(typ="safe")
        configuration = yaml.load(EXAMPLES / "prometheus.yml")
        (scrape,) = configuration["scrape_configs"]
        scrape["static_configs"] = [{"targets": [target]}]
        configuration["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
        file = directory / "prometheus.yml"
        yaml.dump(configuration, file)
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=error",
            ]
        )

    def ask(self, path: str, **parameters: str) -> Any:
        """Ask the API; None where it does not answer yet."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}?{query}") as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):
            return None

    def query(self, expression: str) -> list[Any]:
        """Return the samples of an expression at this moment."""
        found = self.ask("/api/v1/query", query=expression)
        return [] if found is None else list(found["result"])

    def values(self, expression: str) -> set[float]:
        return {float(sample["value"][1]) for sample in self.query(expression)}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    origin = Origin()
    started = Serving(tmp_path_factory.mktemp("site"), SITE.replace("ORIGIN", origin.address))
    yield started
    started.stop()
    origin.stop()


@pytest.fixture(scope="module")
def prometheus(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), f"127.0.0.1:{serving.port}")
    yield started
    started.stop()


def transfer(serving: Serving, identifier: str, status: int, size: int) -> None:
    with serving.connect() as client:
        head = f"POST /status/{status}?X-Progress-ID={identifier} HTTP/1.1\r\nHost: a\r\n"
        framing = f"Content-Length: {size}\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode() + framing.encode() + bytes(size))
        assert f" {status} ".encode() in b"".join(iter(lambda: client.recv(65536), b""))


def test_prometheus_counts_what_the_workers_of_a_gateway_do(
    serving: Serving, prometheus: Prometheus
) -> None:
    for number in range(4):
        transfer(serving, f"done{number}", 201, 1000)
    transfer(serving, "failed", 500, 500)
    ended = "sum by (state) (mod_progress_transfers_total)"
    with ExitStack() as stack:
        client = stack.enter_context(serving.connect())
        running = "POST /status/201?X-Progress-ID=runs HTTP/1.1\r\nHost: a\r\n"
        client.sendall(f"{running}Content-Length: 1000\r\n\r\n".encode() + bytes(400))
        eventually(lambda: prometheus.values(ended) == {4, 1})
        eventually(lambda: 1 in prometheus.values("mod_progress_transfers_running"))
        eventually(
            lambda: prometheus.values('mod_progress_bytes_total{direction="upload"}') == {4900}
        )
        eventually(lambda: prometheus.values("mod_progress_store_up") == {1})
        # Another worker, or the same one: each answers for all, also after one was killed.
        before = serving.workers
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: len(serving.workers) == 2 and serving.workers != before)
    transfer(serving, "after", 201, 10)
    eventually(lambda: max(prometheus.values(ended), default=0) >= 5)
    # A counter that steps back would be taken for one that was reset.
    resets = "max(resets(mod_progress_transfers_total[5m]) or resets(mod_progress_bytes_total[5m]))"
    assert prometheus.values(resets) == {0}


def expressions() -> list[str]:
    dashboard = json.loads((EXAMPLES / "grafana.json").read_text())
    return [
        target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*")
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def test_each_query_of_the_dashboard_is_answered(serving: Serving, prometheus: Prometheus) -> None:
    transfer(serving, "one-more", 201, 100)
    asked = expressions()
    assert len(asked) >= 10
    for expression in asked:
        eventually(partial(prometheus.query, expression))


def test_the_dashboard_has_all_metrics(serving: Serving, prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.query("mod_progress_table_entries"))
    told = prometheus.ask("/api/v1/label/__name__/values")
    known = {name for name in told if name.startswith("mod_progress_")}
    assert known
    text = "\n".join(expressions())
    assert [name for name in known if name not in text] == []


def test_promtool_finds_nothing_wrong(serving: Serving) -> None:
    status, text = serving.get("/metrics")
    assert status == 200
    assert b"X-Progress" not in text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_who_may_not_is_refused(serving: Serving) -> None:
    assert serving.get("/foreign")[0] == 403
