"""Outputs: what becomes of what is there already, and what is left behind."""

import contextlib
import errno
import io
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.page import write_page
from kmeans_fast.pictures import saving, tiles
from kmeans_fast.pictures.saving import save_image, write_whole

from .pictures import photograph

PICTURE = photograph(60, 50)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="links, pipes and modes of POSIX")


def save_page(path):
    pytest.importorskip("plotly.graph_objects")
    write_page(kf.explore(PICTURE, [2]), path)


def save_in_tiles(path):
    Image.fromarray(PICTURE).save("large.tif", compression="tiff_lzw", strip_size=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_PIXELS", 500)
        patch.setattr("kmeans_fast.cli.commands.TILED", 1000)
        if cli.main(["quantize", "large.tif", "-k", "5", "-o", path, "--force"]):
            raise OSError("see stderr")


# Every kind of output, with the name of one.
WRITERS = {
    "out.png": lambda path: save_image(Image.new("P", (9, 5)), path),
    "out.npz": lambda path: kf.ColorHistogram(PICTURE).save(path),
    "out.html": save_page,
    "out.tif": save_in_tiles,
}
each_output = pytest.mark.parametrize("name", WRITERS)


def write(path, data=b"after"):
    write_whole(path, lambda file: file.write(data))


def state(path):
    found = os.stat(path)
    return found.st_ino, found.st_mode, found.st_uid, found.st_gid


def owned_by_another(path):
    if os.geteuid() == 0:
        os.chown(path, 4321, 4322)


@contextlib.contextmanager
def reading(pipe):
    """Read a pipe to its end, which is not before the work within is done."""
    keeper = os.open(pipe, os.O_RDWR)
    read = []
    with open(pipe, "rb") as end:
        reader = threading.Thread(target=lambda: read.append(end.read()))
        reader.start()
        try:
            yield read
        finally:
            os.close(keeper)
            reader.join()


# ------------------------------------------------------------------------------ files


@each_output
def test_a_file_that_is_replaced_keeps_its_mode_and_its_owner(folder, name):
    Path(name).write_bytes(b"before")
    os.chmod(name, 0o640)
    os.utime(name, (0, 0))
    owned_by_another(name)
    before = state(name)
    WRITERS[name](name)
    assert os.stat(name).st_mtime > 0
    assert state(name)[1:] == before[1:] and state(name)[0] != before[0]
    assert Path(name).stat().st_size > 60


def test_what_replaces_a_private_file_is_private_from_the_first(folder):
    def look(file):
        modes.append(os.fstat(file.fileno()).st_mode & 0o777)

    modes = []
    write_whole("out", look)
    os.chmod("out", 0o644)
    write_whole("out", look)
    assert modes[1] == 0o600 and state("out")[1] & 0o777 == 0o644


@each_output
def test_a_file_of_several_names_keeps_them(folder, name):
    Path(name).write_bytes(bytes(10_000_000))
    os.link(name, "other")
    before = state(name)
    WRITERS[name](name)
    assert state(name) == state("other") == before
    assert 60 < Path("other").stat().st_size < 9_000_000


@each_output
def test_a_file_that_nobody_may_write_is_refused_even_to_root(folder, name, capfd):
    Path(name).write_bytes(b"before")
    os.chmod(name, 0o444)
    with pytest.raises(OSError, match=f"{name}: is not writable; make it so|see stderr"):
        WRITERS[name](name)
    assert name != "out.tif" or "out.tif: is not writable" in capfd.readouterr().err
    assert Path(name).read_bytes() == b"before"


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES])
def test_where_a_rename_cannot_be_the_file_is_written_in_place(folder, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    for step in ("replace", "chown"):
        for old in (b"", b"much longer than what comes after it"):
            Path("out").write_bytes(old)
            owned_by_another("out")
            before = state("out")
            with monkeypatch.context() as patch:
                patch.setattr(os, step, refuse)
                write("out")
            assert Path("out").read_bytes() == b"after" and os.listdir() == ["out"]
            assert state("out")[1:] == before[1:]
            assert state("out")[0] == before[0] or (step == "chown" and os.geteuid() != 0)


def test_a_file_in_a_folder_that_is_not_writable_is_written_in_place(folder, monkeypatch):
    Path("out").write_bytes(b"before")
    before, here = state("out"), os.path.realpath(folder)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != here and access(path, mode))
    seen = []
    write_whole("out", lambda file: (file.write(b"after"), seen.append(os.listdir())))
    assert seen == [["out"]] and state("out") == before and Path("out").read_bytes() == b"after"
    with pytest.raises(PermissionError, match="the folder .* is not writable"):
        write("new")


def test_a_disk_that_is_full_takes_nothing_from_a_file_that_is_written_in_place(
    folder, monkeypatch
):
    class Full(io.FileIO):
        def write(self, data):
            room = 20 - self.tell()
            if room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[:room])

    def fill(path, mode, **options):
        return Full(path, "r+") if mode == "wb" else open(path, mode, **options)

    monkeypatch.setattr(saving, "open", fill, raising=False)
    Path("out").write_bytes(b"before")
    os.link("out", "other")
    with pytest.raises(OSError, match="out: cannot be written: .*No space left"):
        write("out", bytes(30))
    assert Path("out").read_bytes() == b"before" and sorted(os.listdir()) == ["other", "out"]
    write("out", bytes(20))
    assert Path("out").read_bytes() == bytes(20)


# ------------------------------------------------------------------------------ no files


@each_output
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to(folder, name, linked):
    pipe = "pipe" if linked else name
    os.mkfifo(pipe)
    if linked:
        os.symlink(pipe, name)
    with reading(pipe) as read:
        WRITERS[name](name)
    assert len(read[0]) > 60 and stat.S_ISFIFO(os.stat(name).st_mode)
    os.remove(pipe)
    WRITERS[name](name)  # where the link led to, there is a file now
    assert Path(name).stat().st_size == len(read[0])


def test_a_pipe_that_nobody_reads_is_not_waited_for(folder):
    os.mkfifo("pipe")
    with pytest.raises(OSError, match="pipe: cannot be written: nobody reads from it; start its"):
        write("pipe")
    assert os.listdir() == ["pipe"] and stat.S_ISFIFO(os.stat("pipe").st_mode)


@each_output
def test_a_device_stays_one(folder, name):
    """One that this test makes: what takes all, as /dev/null, and what takes nothing."""
    before = []
    try:
        for made, minor in (("null", 3), ("full", 7)):
            os.mknod(made, 0o600 | stat.S_IFCHR, os.makedev(1, minor))
            with open(made, "wb"):
                before.append(os.stat(made))
    except OSError as error:
        pytest.skip(f"devices cannot be made here: {error}")
    os.symlink("null", name)
    WRITERS[name](name)
    os.remove(name)
    os.symlink("full", name)
    with pytest.raises(OSError, match=f"{name}: cannot be written: .*No space left|see stderr"):
        WRITERS[name](name)
    after = [os.stat(made) for made in ("null", "full")]
    assert [(s.st_mode, s.st_ino) for s in after] == [(s.st_mode, s.st_ino) for s in before]
    assert os.path.islink(name)


def test_sockets_and_links_in_a_circle_are_refused(folder):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        with pytest.raises(OSError, match="socket: is a disk or a socket, not a file"):
            write("socket")
    os.symlink("circle", "circle")
    with pytest.raises(OSError, match="circle"):
        write("circle")
    assert os.path.islink("circle") and stat.S_ISSOCK(os.stat("socket").st_mode)


# ------------------------------------------------------------------------------ the command line


@pytest.fixture
def fails(folder, capsys):
    """Run the command line amid a.png, b.png and in/c.png; it fails in a line, and changes none."""
    os.mkdir("in")
    for seed, name in enumerate(("a.png", "b.png", "in/c.png")):
        Image.fromarray(photograph(20, 30, seed=seed)).save(name)

    def run(*arguments):
        before = {path: path.read_bytes() for path in Path(".").rglob("*") if path.is_file()}
        assert cli.main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("kmeans-fast: error: ") and err.count("\n") == 1
        assert before == {
            path: path.read_bytes() for path in Path(".").rglob("*") if path.is_file()
        }
        return err

    return run


COMMANDS = {
    "quantize": ["quantize", "a.png", "-k", "3", "-o"],
    "palette": ["palette", "a.png", "-k", "3", "-o"],
    "explore": ["explore", "a.png", "-k", "3", "-o"],
}
each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)


@each_command
@pytest.mark.parametrize("more", [[], ["--force"]])
def test_an_output_that_is_an_input_is_refused(fails, command, more):
    if command[0] == "explore":
        os.rename("a.png", "a.html")  # a name says nothing
        command = ["explore", "a.html", "-k", "3", "-o"]
    picture, suffix = command[1], Path(command[1]).suffix
    os.symlink(picture, f"symbolic{suffix}")
    os.link(picture, f"hard{suffix}")
    for name in (picture, f"./in/../{picture}", f"symbolic{suffix}", f"hard{suffix}"):
        assert f"{name} is one of the pictures to read" in fails(*command, name, *more)


def test_an_output_among_many_inputs_is_refused(fails):
    for command in (["quantize", "a.png", "in"], ["quantize", "in", "--shared"]):
        assert "in/c.png is one of the" in fails(*command, "-k", "3", "-o", "in", "--force")
    assert "in/c.png is one of the" in fails("palette", "in", "-k", "3", "-o", "in/c.png")


@each_command
def test_another_file_is_replaced_by_force_only(fails, command):
    if command[0] == "explore":
        pytest.importorskip("plotly")
    name = "out.html" if command[0] == "explore" else "b.png"
    Path(name).write_bytes(b"before")
    assert f"{name} is there already; give another name, or --force" in fails(*command, name)
    assert cli.main([*command, name, "--force"]) == 0
    assert Path(name).stat().st_size > 60


def test_all_outputs_in_a_folder_are_looked_at_before_any_work(
    fails,
):
    os.mkdir("out")
    Path("out/b.png").write_bytes(b"before")
    command = ["quantize", "a.png", "b.png", "-k", "3", "-o", "out"]
    assert "out/b.png is there already" in fails(*command)
    os.symlink("b.png", "out/a.png")
    assert "out/b.png is one file with another output" in fails(*command, "--force")
    os.remove("out/a.png")
    assert cli.main([*command, "--force"]) == 0
    assert sorted(os.listdir("out")) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["page", "page.png", "page.html.gz"])
def test_a_page_has_the_suffix_of_one(fails, name):
    message = f"{name}: unknown suffix '{Path(name).suffix}'; use one of .html, .htm"
    assert message in fails(*COMMANDS["explore"], name, "--force")


def test_a_pipe_needs_neither_force_nor_suffix_for_a_page(folder):
    pytest.importorskip("plotly")
    Image.fromarray(PICTURE).save("a.png")
    os.mkfifo("pipe")
    with reading("pipe") as read:
        assert cli.main([*COMMANDS["explore"], "pipe"]) == 0
    assert read[0].startswith(b"<!DOCTYPE html>")


INTERRUPTED = """
import os, signal, sys
from kmeans_fast import cli
from kmeans_fast.cli import commands
from kmeans_fast.pictures import tiles
tiles.TILE_PIXELS, commands.TILED = 500, 1000
items, number = tiles.Tiles.items, int(sys.argv.pop(1))
if sys.argv[1] == "ignored":
    signal.signal(number, signal.SIG_IGN)
def signalled(tiles):
    for place, tile in items(tiles):
        yield place, tile
        if place[0].start > 20 and os.listdir("out"):
            print(*os.listdir("out"))
            os.kill(os.getpid(), number)
tiles.Tiles.items = signalled
status = cli.main(sys.argv[2:])
if status == 0 or signal.getsignal(number) != signal.SIG_DFL:
    print("not as before" if status else "written")
sys.exit(status)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_amid_a_large_tiff_leaves_nothing_behind(folder, number):
    os.mkdir("out")
    Image.fromarray(PICTURE).save("large.tif", compression="tiff_lzw", strip_size=1000)

    def run(*arguments):
        command = [*arguments, "quantize", "large.tif", "-k", "3", "-o", "out/large.tif"]
        return subprocess.run(
            [sys.executable, "-c", INTERRUPTED, str(int(number)), *command],
            capture_output=True,
            text=True,
        )

    done = run("stopped")
    said = [line for line in done.stderr.splitlines() if "compiling the kernels" not in line]
    assert (done.returncode, said) == (128 + number, [])
    assert done.stdout.startswith(".kmeans-fast-") and done.stdout.count("\n") == 1
    assert os.listdir("out") == []
    done = run("ignored")  # as by nohup
    assert done.returncode == 0 and done.stdout.endswith("written\n")
    assert os.listdir("out") == ["large.tif"]


def test_what_a_dead_process_has_left_is_in_nobodys_way(folder, capsys):
    os.mkdir("out")
    for seed in range(2):
        Image.fromarray(photograph(20, 30, seed=seed)).save(f"{seed}.png")
    left = [Path(".kmeans-fast-0123456789abcdef.tmp"), Path("out/.kmeans-fast-0.tmp")]
    for path in left:
        path.write_bytes(b"half")
    assert cli.main(["quantize", ".", "-k", "3", "-o", "out"]) == 0
    assert cli.main(["palette", "out", "-k", "3"]) == 0
    assert sorted(os.listdir("out")) == [".kmeans-fast-0.tmp", "0.png", "1.png"]
    assert capsys.readouterr().err == "" and all(path.read_bytes() == b"half" for path in left)
