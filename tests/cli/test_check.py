from __future__ import annotations

from pathlib import Path

from tests.cli.running import assert_one_line, run


def test_a_right_configuration_is_ok(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text('setup { module_load "mod_progress"; }\nprogress.track;\n')
    done = run("check", "site.conf", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_all_errors_are_told(tmp_path: Path) -> None:
    text = 'setup { module_load "mod_progress"; }\nprogress.trak;\nprogress.show "xml";\n'
    (tmp_path / "site.conf").write_text(text)
    done = run("check", "site.conf", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "site.conf:2:1: " in done.stderr
    assert "progress.track" in done.stderr
    assert "site.conf:3:15: " in done.stderr
    assert "    ^" in done.stderr


def test_a_file_is_needed() -> None:
    assert_one_line(run("check"), 2, "the following arguments are required: CONFIG")


def test_a_file_that_is_not_there_is_named() -> None:
    assert_one_line(run("check", "/nowhere/site.conf"), 1, "cannot read /nowhere/site.conf", "")
