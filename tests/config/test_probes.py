"""What `check` finds missing on this machine."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mod_progress.config import check, load
from mod_progress.config.errors import UnplacedError
from mod_progress.config.probes import (
    creatable_directory,
    directory,
    writable_directory,
    writable_file,
)

MODULES = (
    'setup module_load "mod_progress", "mod_proxy", "mod_accesslog", "mod_fastcgi", "mod_uwsgi";'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('setup listen "nowhere.invalid:80";', "cannot resolve 'nowhere.invalid': "),
        (
            'setup listen "unix:/nowhere/socket";',
            "cannot use '/nowhere': No such file or directory",
        ),
        ('setup user "no-such-user";', "there is no user 'no-such-user'"),
        ('setup group "no-such-group";', "there is no group 'no-such-group'"),
    ],
)
def test_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "site.conf").write_text(text)
    (error,) = check(tmp_path / "site.conf")
    column = text.index(' "') + 2
    assert str(error).startswith(f"{tmp_path}/site.conf:1:{column}: {message}")
    assert not error.is_warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('proxy "nowhere.invalid:80";', "cannot resolve 'nowhere.invalid': "),
        ('proxy "unix:/nowhere/socket";', "cannot use '/nowhere': No such file or directory"),
        ('fastcgi "nowhere.invalid:80";', "cannot resolve 'nowhere.invalid': "),
        ('uwsgi "unix:/nowhere/socket";', "cannot use '/nowhere': No such file or directory"),
        ('core.xsendfile "/nowhere";', "cannot use '/nowhere': No such file or directory"),
        ('docroot "/nowhere";', "cannot use '/nowhere': No such file or directory"),
        ('upload.store "/etc/hosts";', "'/etc/hosts' is not a directory"),
        ('setup accesslog "/nowhere/log";', "cannot use '/nowhere': No such file or directory"),
        ('setup accesslog "/etc";', "'/etc' is a directory"),
    ],
)
def test_a_warning(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "site.conf").write_text(f"{MODULES}\n{text}")
    (error,) = check(tmp_path / "site.conf")
    column = text.rindex(' "') + 2
    assert str(error).startswith(f"{tmp_path}/site.conf:2:{column}: warning: {message}")
    assert error.is_warning
    load(tmp_path / "site.conf")  # it starts all the same


def test_errors_and_warnings_are_in_reading_order(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text(f'{MODULES} docroot "/nowhere";\nrespnd;\ndocroot "/no";')
    assert [
        (error.place and error.place.line, error.is_warning)
        for error in check(tmp_path / "site.conf")
    ] == [(1, True), (2, False), (3, True)]


def test_what_is_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    (tmp_path / "site.conf").write_text(
        f"""{MODULES}
        setup {{ listen "127.0.0.1:0", "*:0", "[::]:0", "localhost:0", "unix:{tmp_path}/socket"; }}
        setup {{ accesslog "{tmp_path}/log"; }}
        docroot "{tmp_path}"; upload.store "{tmp_path}/new"; proxy "localhost:80"; proxy "[::1]:80";
        proxy "unix:{tmp_path}/socket";"""
    )
    assert check(tmp_path / "site.conf") == []
    assert {path.name for path in tmp_path.iterdir()} == {"log", "site.conf"}


#: As root may do everything, these run as a user without rights.
REFUSED = [
    (directory, "closed", "closed': this user may not"),
    (directory, "closed/inside", "inside': Permission denied"),
    (writable_directory, "closed", "closed': this user may not"),
    (writable_directory, "read", "read': this user may not"),
    (creatable_directory, "read/new/newer", "read': this user may not"),
    (creatable_directory, "closed/inside/new", "closed': this user may not"),
    (writable_file, "read/new", "read': this user may not"),
    (writable_file, "read/log", "log': this user may not"),
    (writable_file, "closed/log", "closed': this user may not"),
]


def refused_as_nobody(directory: Path) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    for probe, path, message in REFUSED:
        with pytest.raises(UnplacedError, match=message):
            probe(str(directory / path))


def test_what_this_user_may_not_do() -> None:
    with TemporaryDirectory() as path:
        place = Path(path)
        place.chmod(0o755)
        (place / "closed").mkdir(0o700)
        (place / "read").mkdir(0o755)
        (place / "read" / "log").touch(0o644)
        process = multiprocessing.get_context("fork").Process(
            target=refused_as_nobody, args=(place,)
        )
        process.start()
        process.join()
    assert process.exitcode == 0
