from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from mod_progress.cli import main, serve
from mod_progress.cli.arguments import Parser
from tests.cli.running import COMMAND, assert_one_line, run


def test_all_errors_of_a_configuration_are_told(tmp_path: Path) -> None:
    text = 'setup { module_load "mod_progress"; }\nprogress.trak;\nprogress.show "xml";\n'
    (tmp_path / "site.conf").write_text(text)
    done = run("serve", "site.conf", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "site.conf:2:1: " in done.stderr
    assert "site.conf:3:15: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("--workers x", 2, "--workers: 'x' is not a whole number, 1 or more"),
        ("--proxy nonsense", 2, "--proxy 'nonsense' is neither host:port nor unix:/path"),
        ("--proxy a:1 --store b", 2, "--proxy and --store exclude each other"),
        ("--track x", 2, "--track x: a path starts with /"),
        ("--show x", 2, "--show x: a path starts with /"),
        ("a.conf --proxy a:1", 2, "--show are for use without a configuration file"),
        ("--ttl -1", 2, "--ttl: '-1' is not a number of seconds, 0 or more"),
        ("--methods post", 2, "--methods: 'post' is not an HTTP method; did you mean 'POST'"),
        ("--tls-key x", 2, "--tls-key needs --tls-cert"),
        ("--tls-cert /nowhere", 1, "cannot use the certificate /nowhere"),
        ("--listen nonsense", 1, "cannot listen on nonsense"),
        ("--listen 192.0.2.1:80", 1, "cannot listen on 192.0.2.1:80"),
        ("--listen unix:/nowhere/s", 1, "cannot listen on unix:/nowhere/s"),
        ("--store-url ftp://x", 1, "store: 'ftp:...' is not memory, local"),
        ("/nowhere/site.conf", 1, "cannot read /nowhere/site.conf"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    arguments: str, code: int, said: str, tmp_path: Path
) -> None:
    assert_one_line(run("serve", *arguments.split(), cwd=tmp_path), code, said)


def test_options_of_the_command_line_are_laid_over_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text(
        'setup { module_load "mod_progress"; progress.ttl 5; progress.methods ("PUT"); }'
        "progress.track; respond 200;"
    )
    command = [COMMAND, "serve", "site.conf", "--listen", "127.0.0.1:0"]
    options = ["--methods", "GET", "--methods", "POST", "--ttl", "60", "--debug"]
    options.append("--server-timing")
    with subprocess.Popen(
        [*command, *options],
        cwd=tmp_path,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urlopen(Request(url, method="DELETE", headers={"X-Progress-ID": "a"})) as answer:
                assert answer.status == 200
            with urlopen(Request(url, headers={"X-Progress-ID": "a"})) as answer:
                assert answer.headers["Server-Timing"].startswith("body;dur=0.0, app;dur=")
        finally:
            process.terminate()
        said = process.communicate(timeout=30)[1]
    assert "not tracked: the method is DELETE, tracked: GET, POST" in said


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        done = run("serve", "--listen", address, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"mod-progress: cannot listen on {address}: Address already in use\n"


@pytest.mark.parametrize("spec", ["redis://:secret@host", "env:STORE"])
def test_a_store_that_needs_an_extra_says_which(
    spec: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "mod_progress")  # which the command sets, and this takes back
    monkeypatch.setenv("STORE", "redis://:secret@host")
    monkeypatch.setitem(sys.modules, "mod_progress.stores.redis.store", None)
    assert main(["serve", "--store-url", spec]) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith("mod-progress: store: ")
    assert said.endswith(" is not there without its extra: pip install 'mod-progress[redis]'\n")
    assert "secret" not in said


@pytest.mark.parametrize(
    ("flags", "served"),
    [
        ("", "a page to upload files to ./uploads; progress: /progress"),
        ("--store a --show /p", "a page to upload files to a; progress: /p"),
        ("--proxy b:1 --track /up", "requests go to b:1; tracked: /up, progress: /progress"),
        ("site.conf", "configuration: site.conf"),
    ],
)
def test_what_is_served_is_told_in_two_lines(
    flags: str, served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.conf").write_text("respond 200;")
    parser = Parser("serve", "")
    serve.add_arguments(parser)
    words = "--listen 127.0.0.1:0 --workers 3 --user me --store-url redis://:secret@host/1"
    arguments = parser.parse([*flags.split(), *words.split(), "--access-log", "log"])
    del arguments.log_format
    given = serve.Flags(**vars(arguments))
    assert list(given.describe(given.load())) == [
        served,
        "workers: 3 as me, store: redis, access log: log",
    ]
