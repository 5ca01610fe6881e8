"""What people find where they look: the package's names, its help, and that of the command line."""

import pickle
import pkgutil
import pydoc
import re
import rlcompleter
import shutil
import subprocess
import sys
from importlib import import_module

import pytest

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.cli.parser import COMMANDS, GROUPS, WIDTH

# ---------------------------------------------------------------------------- in Python


def test_only_public_names_are_shown_whatever_is_imported():
    for module in pkgutil.walk_packages(kf.__path__, "kmeans_fast."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    shown = [name for name in dir(kf) if not re.fullmatch("__.*__", name)]
    assert shown == sorted(set(kf.__all__) - {"__version__"})
    assert "__version__" in dir(kf)

    completer, found = rlcompleter.Completer({"kf": kf}), []
    while (word := completer.complete("kf.", len(found))) is not None:
        found.append(re.sub(r"\W*$", "", word.removeprefix("kf.")))
    assert found == shown


def test_the_help_of_the_package_begins_with_every_public_name():
    about, _, _ = pydoc.plain(pydoc.render_doc(kf)).partition("PACKAGE CONTENTS")
    assert about.index("`quantize`") < about.index(">>> ") < about.index("- `fit`")
    listed = set(re.findall(r"`(\w+)`", about)) - {"KMeans", "help"}
    assert listed == set(kf.__all__) - {"__version__"}


def test_the_names_of_the_package_are_there_whoever_asks():
    import kmeans_fast.exploring
    import kmeans_fast.kernels.pixels

    assert set(kf.__all__) <= set(dir(kf))
    assert kf.explore is kmeans_fast.exploring.explore
    assert pickle.loads(pickle.dumps(kf.fit)) is kf.fit
    helped = pydoc.plain(pydoc.render_doc(kf))
    assert all(name in helped for name in kf.__all__ if name != "__version__")
    with pytest.raises(AttributeError, match="module 'kmeans_fast' has no attribute 'kmeans'"):
        kf.kmeans  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'kmeans'"):
        from kmeans_fast import kmeans  # noqa: F401


# ---------------------------------------------------------------------------- of the command line


def test_help_groups_the_commands_with_an_example_each(capsys):
    assert cli.main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("usage: kmeans-fast ") and len(lines) <= 40
    assert sum(GROUPS.values(), []) == list(COMMANDS)
    for title, names in GROUPS.items():
        at = lines.index(f"{title}:")
        for line, name in enumerate(names):
            about, example = lines[at + 1 + 2 * line : at + 3 + 2 * line]
            assert about.split() == [name, *COMMANDS[name][0].split()]
            assert example.strip().startswith(f"$ kmeans-fast {name}")
    for option in ("--help", "--version", "--print-completion"):
        assert option in out


def test_without_a_command_there_is_help_and_nothing_done(capsys):
    cli.main(["--help"])
    help = capsys.readouterr().out
    assert cli.main([]) == 2
    assert capsys.readouterr() == ("", help)


@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_help_is_no_error_and_fits_a_terminal(command, capsys):
    assert cli.main([*command.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: kmeans-fast") and err == ""
    assert max(map(len, out.splitlines())) <= WIDTH < 80
    assert f"  kmeans-fast {command}" in out or f"$ kmeans-fast {command}" in out


# ---------------------------------------------------------------------------- completion

# What is typed, and what may follow: all of it, or some.
TYPED = [
    ("pal", {"palette"}),
    ("", set(COMMANDS)),
    ("--print-completion ", {"bash", "zsh", "fish"}),
    ("quantize --sh", {"--shared"}),
    ("quantize --space ", {"rgb", "oklab"}),
    ("quantize a.png --su", {"--suffix"}),
    ("quantize a.png --palette pho", {"photo.png", "photos.tif"}),
    ("palette a.png --sort l", {"luminance"}),
    ("palette a.png --format ", {"css", "gpl", "ase", "aco", "hex", "json"}),
    ("quantize pho", {"photo.png", "photos.tif"}),
    ("quantize -k 4 photo.png photos", {"photos.tif"}),
    ("explore photo.png -o pa", {"page.html"}),
]
IN_BASH = """
source "$0"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
[[ "$(complete -p kmeans-fast)" =~ -F\\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" kmeans-fast "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """Return what writes the script of a shell, in a folder with files to complete."""
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", "photos.tif", "page.html"):
        (tmp_path / name).touch()

    def write(shell):
        assert cli.main(["--print-completion", shell]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        path = tmp_path / f"script.{shell}"
        path.write_text(out)
        if shutil.which(shell) is None:
            pytest.skip(f"no {shell} here")
        run(shell, "-n", path)
        return path

    return write


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_bash_completes(script, typed, expected):
    path = script("bash")
    found = run("bash", "-c", IN_BASH, path, "kmeans-fast", *typed.split(" ")).split()
    assert set(found) == expected


@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_fish_completes(script, monkeypatch, tmp_path, typed, expected):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = script("fish")
    command = f"source {path}; complete -C 'kmeans-fast {typed}'"
    found = [line.split("\t")[0] for line in run("fish", "--no-config", "-c", command).splitlines()]
    assert set(found) == expected


def test_zsh_takes_its_script(script):
    """Completion itself runs in zsh's editor alone."""
    loaded = f'autoload -U compinit; compinit -u -D; eval "$(<{script("zsh")})"; print $_comps'
    assert "_shtab_kmeans_fast" in run("zsh", "-f", "-c", loaded + "[kmeans-fast]")


def test_completion_without_shtab_names_the_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--print-completion", "bash"]) == 2
    remedy = "--print-completion needs shtab: pip install 'kmeans_fast[completion]'"
    assert capsys.readouterr() == ("", f"kmeans-fast: error: {remedy}\n")


def test_other_shells_are_refused(capsys):
    assert cli.main(["--print-completion", "tcsh"]) == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
