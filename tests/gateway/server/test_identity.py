"""Whom the workers run as: the real command, started by root, for the real nobody.

Where the tests do not run as root, the workers run as the user that they run as.
"""

from __future__ import annotations

import grp
import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mod_progress.gateway.server.identity import IdentityError, find_identity
from tests.gateway.running import eventually
from tests.gateway.serving import COMMAND, Serving

SITE = """
setup {
    module_load ["mod_accesslog", "mod_progress"];
    listen "127.0.0.1:0";
    workers 2;
    accesslog "logs/access.log";
}
if req.path == "/up" { progress.track; upload.store "saved", ["total_files" => 9]; }
else { respond "hello"; }
"""
ROOT = os.geteuid() == 0
USER = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
GROUP = grp.getgrgid(USER.pw_gid).gr_name
AS_USER = f'setup {{ user "{USER.pw_name}"; }}\n'


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory in which every user may make a directory for the store, like /tmp."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o1777)
    (path / "logs").mkdir()
    (path / "saved").mkdir()
    os.chown(path / "saved", USER.pw_uid, USER.pw_gid)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def started() -> Iterator[list[Serving]]:
    servings: list[Serving] = []
    yield servings
    for serving in servings:
        serving.stop()


def identity_of(pid: int) -> tuple[str, ...]:
    """Return the real, effective, saved and file system user and group, and the other groups."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return tuple(" ".join(fields[name].split()) for name in ("Uid", "Gid", "Groups"))


def as_it_should_be() -> tuple[str, ...]:
    groups = os.getgrouplist(USER.pw_name, USER.pw_gid) if ROOT else os.getgroups()
    user, group = (" ".join([str(number)] * 4) for number in (USER.pw_uid, USER.pw_gid))
    return user, group, " ".join(map(str, sorted(groups)))


def are_the_user(serving: Serving) -> bool:
    workers = serving.workers
    return len(workers) == 2 and all(identity_of(pid) == as_it_should_be() for pid in workers)


def upload(serving: Serving) -> None:
    command = ["curl", "-sSf", "-m", "9", "-F", "file=@/etc/hostname", serving.url + "up"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("how", ["directive", "flag", "number"])
def test_workers_run_as_the_user(place: Path, started: list[Serving], how: str) -> None:
    flags = {
        "flag": ("--user", USER.pw_name, "--group", GROUP),
        "number": ("--user", str(USER.pw_uid)),
    }
    text = AS_USER + SITE if how == "directive" else SITE
    serving = Serving(place, text, *flags.get(how, ()))
    started.append(serving)
    eventually(lambda: are_the_user(serving))
    assert not serving.said("root")
    upload(serving)
    assert [path.owner() for path in (place / "saved").iterdir()] == [USER.pw_name]
    log = place / "logs" / "access.log"
    eventually(lambda: "POST /up" in log.read_text())
    assert log.owner() == USER.pw_name

    # Workers that come later, at a death and at a reload, which may listen on a port of root's.
    victim = serving.workers[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in serving.workers and are_the_user(serving))
    before = set(serving.workers)
    serving.reload(text + f'setup {{ listen "127.0.0.77:{81 if ROOT else 0}"; }}')
    eventually(lambda: not before & set(serving.workers) and are_the_user(serving))
    upload(serving)

    # Rotated logs belong to the user too.
    log.rename(place / "logs" / "access.log.1")
    serving.signal(signal.SIGUSR1)
    eventually(log.exists)
    serving.get("/hello")
    eventually(lambda: "GET /hello" in log.read_text())
    assert log.owner() == USER.pw_name


def test_root_is_warned(place: Path, started: list[Serving]) -> None:
    started.append(Serving(place, SITE))
    started[0].stop()
    assert started[0].said("workers run as root: name another user by --user") is ROOT


def test_a_log_that_is_there_is_not_given_away(place: Path) -> None:
    """The user may have made it a link to a file of root's."""
    target = place / "target"
    target.touch(0o400)
    (place / "logs" / "access.log").symlink_to(target)
    (place / "site.conf").write_text(AS_USER + SITE)
    done = subprocess.run(
        [COMMAND, "serve", "site.conf"], cwd=place, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert "cannot write to the access log logs/access.log: Permission denied" in done.stderr
    assert (target.stat().st_uid, target.read_bytes()) == (os.geteuid(), b"")


def _become_another() -> str:
    """Return why a process without root's rights, in which this runs, may not change its user."""
    if ROOT:
        os.setgroups([])
        os.setgid(USER.pw_gid)
        os.setuid(USER.pw_uid)
    own = find_identity(USER.pw_name, None)
    assert own is not None
    own.assume()
    with own.in_force(), pytest.raises(IdentityError) as refused:
        find_identity("root", None)
    return str(refused.value)


def test_only_root_can_become_another() -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        said = pool.apply(_become_another)
    assert said == "only root can run workers as another user or group"


@pytest.mark.parametrize(
    ("user", "group", "said"),
    [
        ("nobody-like-this", None, "there is no user 'nobody-like-this'"),
        ("4000000000", None, "there is no user '4000000000'"),
        ("99999999999999999999", None, "there is no user '99999999999999999999'"),
        (None, "no-such-group", "there is no group 'no-such-group'"),
        ("nobody", "no-such-group", "there is no group 'no-such-group'"),
        ("", None, "there is no user ''"),
    ],
)
def test_who_is_not_there(user: str | None, group: str | None, said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        find_identity(user, group)


def test_without_names_nothing_changes() -> None:
    assert find_identity(None, None) is None


def test_a_wrong_name_ends_no_gateway(place: Path, started: list[Serving]) -> None:
    serving = Serving(place, AS_USER + SITE)
    started.append(serving)
    serving.configuration.write_text(SITE + 'setup { user "who"; }')
    serving.signal(signal.SIGHUP)
    eventually(lambda: serving.said("not reloaded: there is no user 'who'"))
    assert serving.get("/hello") == (200, b"hello")
