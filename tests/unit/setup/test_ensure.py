"""Set-up does what is missing, once, and goes on where it was cut off. Steps write real files; only the disk's size is told."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import subprocess
from pathlib import Path

import pytest

from tools.setup.ensure import ensure, only_one_set_up
from tools.setup.failures import DiskFull, NotWritable, SetupError
from tools.setup.place import Place
from tools.setup.report import Reporter
from tools.setup.stamps import read_stamp, remove_stamp, write_stamp
from tools.setup.table import Step

PLENTY_MB = 1_000_000


class Folder:
    """A step that fills a folder in two halves; it can be told to break between them."""

    def __init__(self, place: Place, name: str, *, breaks_with: BaseException | None = None) -> None:
        self.folder = place.root / name
        self.breaks_with = breaks_with
        self.builds = 0

    def build(self) -> None:
        self.builds += 1
        remove_stamp(self.folder)
        self.folder.mkdir(exist_ok=True)
        (self.folder / "first half").touch()
        if self.breaks_with is not None:
            raise self.breaks_with
        (self.folder / "second half").touch()
        write_stamp(self.folder, {"made": "whole"})

    def as_step(self, *, needs_mb: int = 1) -> Step:
        return Step(
            name=self.folder.name,
            title=f"making {self.folder.name}",
            made=self.folder,
            needs_mb=needs_mb,
            is_current=lambda: read_stamp(self.folder) == {"made": "whole"},
            build=self.build,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(root=tmp_path, var=tmp_path / "var")


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def run(place: Place, *folders: Folder, out: io.StringIO, free_mb: int = PLENTY_MB) -> tuple[str, ...]:
    steps = [folder.as_step() for folder in folders]
    return ensure(place, steps, reporter=Reporter(out), measure_free_mb=lambda _folder: free_mb)


def test_a_second_start_does_nothing_and_says_nothing(place: Place, out: io.StringIO) -> None:
    one, two = Folder(place, "one"), Folder(place, "two")
    assert run(place, one, two, out=out) == ("one", "two")
    said = out.getvalue()
    assert run(place, one, two, out=out) == ()
    assert (one.builds, two.builds) == (1, 1)
    assert out.getvalue() == said


def test_each_step_is_reported_with_name_seconds_and_size(place: Place, out: io.StringIO) -> None:
    run(place, Folder(place, "one"), out=out)
    assert "[1/1] making one" in out.getvalue()
    assert " s, 0 MB in one" in out.getvalue()


@pytest.mark.parametrize(
    "fault", [KeyboardInterrupt(), SetupError("the download broke"), OSError(errno.EIO, "input/output error")]
)
def test_a_step_cut_off_half_way_is_done_again_and_finished_ones_are_not(
    place: Place, out: io.StringIO, fault: BaseException
) -> None:
    one, two, three = Folder(place, "one"), Folder(place, "two", breaks_with=fault), Folder(place, "three")
    with pytest.raises((KeyboardInterrupt, SetupError)):
        run(place, one, two, three, out=out)
    assert three.builds == 0
    two.breaks_with = None
    assert run(place, one, two, three, out=out) == ("two", "three")
    assert (one.builds, two.builds, three.builds) == (1, 2, 1)


def test_a_stale_step_alone_is_built_again(place: Place, out: io.StringIO) -> None:
    one, two = Folder(place, "one"), Folder(place, "two")
    run(place, one, two, out=out)
    write_stamp(two.folder, {"made": "from an older lock"})
    assert run(place, one, two, out=out) == ("two",)


def test_too_small_a_disk_is_refused_before_anything_is_written(place: Place, out: io.StringIO) -> None:
    one = Folder(place, "one")
    step = one.as_step(needs_mb=2_400)
    with pytest.raises(DiskFull, match=r"needs about 2400 MB and 287 MB are free.*Free some space") as caught:
        ensure(place, [step], reporter=Reporter(out), measure_free_mb=lambda _folder: 287)
    assert caught.value.code == "disk_full"
    assert one.builds == 0
    assert ensure(place, [step], reporter=Reporter(out), measure_free_mb=lambda _folder: PLENTY_MB) == ("one",)


def test_a_disk_that_fills_up_half_way_is_named_and_the_retry_goes_on(place: Place, out: io.StringIO) -> None:
    full = Folder(place, "one", breaks_with=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place.root / "one" / "x")))
    with pytest.raises(DiskFull, match="started again goes on"):
        run(place, full, out=out)
    full.breaks_with = None
    assert run(place, full, out=out) == ("one",)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_named(place: Place, out: io.StringIO, number: int) -> None:
    closed = Folder(place, "one", breaks_with=OSError(number, os.strerror(number), str(place.root / "one")))
    with pytest.raises(NotWritable, match=f"{place.root / 'one'} cannot be written"):
        run(place, closed, out=out)


def test_a_step_that_ends_well_without_its_result_is_an_error(place: Place, out: io.StringIO) -> None:
    step = Folder(place, "one").as_step()
    idle = Step(name="idle", title="idle", made=step.made, needs_mb=1, is_current=lambda: False, build=lambda: None)
    with pytest.raises(SetupError, match="still not what it should be"):
        ensure(place, [idle], reporter=Reporter(out), measure_free_mb=lambda _folder: PLENTY_MB)


def test_what_a_killed_set_up_left_is_swept(place: Place, out: io.StringIO) -> None:
    left = place.models / ".half-made-abc"
    left.mkdir(parents=True)
    (left / "model.safetensors").touch()
    run(place, Folder(place, "one"), out=out)
    assert not left.exists()


def test_the_lock_outlives_a_killed_set_up_in_the_tool_it_started(place: Place, out: io.StringIO) -> None:
    with only_one_set_up(place, Reporter(out)):
        tool = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    with (place.scratch / "lock").open("a") as stream:
        with tool, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
