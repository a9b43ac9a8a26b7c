import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mod_progress.doctor import main

HERE = Path(__file__).parent
DEADLINE = 20
SECONDS = 0.6

NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_max_body_size 1g;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    proxy_cache_path {directory}/cache keys_zone=answers:1m;
    proxy_http_version 1.1;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {settings}
            proxy_pass http://127.0.0.1:{app_port};
        }}
    }}
}}
"""
PASSING = "proxy_request_buffering off;"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], port: int, directory: Path) -> Iterator[None]:
    """Start a program, and yield when something listens at the port."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "XDG_RUNTIME_DIR": str(directory)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + DEADLINE
            while True:
                assert process.poll() is None
                assert time.monotonic() < deadline
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def app(name: str, directory: Path, workers: int = 1) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "warning"]
    with running([*command, "--workers", str(workers), f"doctor_apps:{name}"], port, directory):
        yield port


@contextlib.contextmanager
def nginx(settings: str, app_port: int, directory: Path) -> Iterator[int]:
    port = free_port()
    file = directory / "nginx.conf"
    file.write_text(
        NGINX.format(directory=directory, port=port, settings=settings, app_port=app_port)
    )
    with running(["nginx", "-c", str(file), "-p", str(directory)], port, directory):
        yield port


def diagnose(
    capsys: pytest.CaptureFixture[str], port: int, path: str = "/upload", **options: Any
) -> tuple[list[str], str]:
    """Return the names of the faults that the doctor finds, and its whole text."""
    code = main(f"http://127.0.0.1:{port}{path}", seconds=SECONDS, **options)
    text = capsys.readouterr().out
    names = [line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert code == (0 if names == ["All is well"] else 1)
    return names, text


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    directory = tmp_path_factory.mktemp("well")
    with app("open_to_one", directory, workers=2) as port:
        yield port


ALL_IS_WELL = ["All is well"]


def test_all_is_well(well: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert diagnose(capsys, well)[0] == ALL_IS_WELL


def test_all_is_well_behind_a_proxy_that_passes_on(
    well: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with nginx(PASSING, well, tmp_path) as port:
        assert diagnose(capsys, port)[0] == ALL_IS_WELL


def test_a_proxy_that_buffers(
    well: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with nginx("", well, tmp_path) as port:
        names, text = diagnose(capsys, port)
    assert names == ["buffered"]
    assert "the app had 0" in text
    assert "proxy_request_buffering off;" in text


@pytest.mark.parametrize(
    ("settings", "eaten"),
    [
        ('proxy_set_header X-Progress-ID "";', ["the header X-Progress-ID"]),
        (
            "if ($request_method = POST) { set $args ''; }",
            ["the query parameter X-Progress-ID", "the query parameter x-progress-id"],
        ),
    ],
)
def test_a_proxy_that_eats_an_id(
    well: int, capsys: pytest.CaptureFixture[str], tmp_path: Path, settings: str, eaten: list[str]
) -> None:
    with nginx(PASSING + settings, well, tmp_path) as port:
        names, text = diagnose(capsys, port)
    assert names == ["eaten"] * len(eaten)
    assert [line for line in text.splitlines() if line.startswith("eaten")] == [
        f"eaten: An id in {spelling} does not reach the app." for spelling in eaten
    ]


CACHE = f"{PASSING} proxy_cache answers; proxy_cache_valid 1m; proxy_ignore_headers Cache-Control;"


@pytest.mark.parametrize(
    ("settings", "detail"),
    [
        (CACHE, "the same question got an old answer"),
        (f"{CACHE} proxy_cache_key $uri; add_header Age 1;", "they carry the header Age"),
    ],
)
def test_a_cache_in_between(
    well: int, capsys: pytest.CaptureFixture[str], tmp_path: Path, settings: str, detail: str
) -> None:
    with nginx(settings, well, tmp_path) as port:
        names, text = diagnose(capsys, port)
    assert names == ["cached"]
    assert detail in text


@pytest.mark.parametrize(
    ("origin", "names"),
    [("https://page.example", ALL_IS_WELL), ("https://other.example", ["not allowed"])],
)
def test_pages_of_another_origin(
    well: int, capsys: pytest.CaptureFixture[str], origin: str, names: list[str]
) -> None:
    assert diagnose(capsys, well, origin=origin)[0] == names


def test_an_app_that_refuses(well: int, capsys: pytest.CaptureFixture[str]) -> None:
    names, text = diagnose(capsys, well, path="/forbidden")
    assert names == ["refused"]
    assert "403 Forbidden" in text


@pytest.mark.parametrize(("show", "detail"), [("/elsewhere", "the answer is 200 OK, no progress")])
def test_nothing_shows(
    well: int, capsys: pytest.CaptureFixture[str], show: str, detail: str
) -> None:
    names, text = diagnose(capsys, well, show=show)
    assert names == ["not shown"]
    assert f"{show}: {detail}" in text


def test_an_upload_that_is_not_tracked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with app("not_tracked", tmp_path) as port:
        assert diagnose(capsys, port)[0] == ["not tracked"]


def test_workers_that_do_not_share(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with app("not_shared", tmp_path, workers=4) as port:
        assert diagnose(capsys, port)[0] == ["not shared"]


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("localhost:8000/upload", 2, "an address such as http://localhost:8000/upload is needed"),
        ("http://127.0.0.1:9/", 1, "Connection refused"),  # the discard port, that nobody serves
    ],
)
def test_an_address_where_nothing_is(
    url: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(url) == code
    assert message in capsys.readouterr().err


def test_it_is_a_program() -> None:
    command = [sys.executable, "-m", "mod_progress.doctor", "nowhere"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == ("nowhere: an address such as http://localhost:8000/upload is needed\n")
