"""The one step of a build that `pyproject.toml` cannot say: packs of ready kernels.

``KMEANS_FAST_BUILD_PACK=0`` leaves them out: kernels are then compiled where they are called, by
Numba, and the wheel is one for all machines.
"""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
WITH_PACK = os.environ.get("KMEANS_FAST_BUILD_PACK", "1") != "0"


class BuildWithPack(build_py):
    """Copies the package, and compiles its kernels: in place, if the install is editable."""

    def run(self):
        """Build."""
        super().run()
        if WITH_PACK:
            where = ROOT if self.editable_mode else Path(self.build_lib).absolute()
            ready = where / "kmeans_fast" / "kernels" / "ready"
            command = [sys.executable, "-m", "kmeans_fast.kernels._build", str(ready)]
            if subprocess.run(command, cwd=ROOT).returncode != 0:
                raise SystemExit("no pack could be built (KMEANS_FAST_BUILD_PACK=0 leaves it out)")


class WheelOfOnePlatform(bdist_wheel):
    """A wheel for any Python, on the kind of machine that its packs are for."""

    def get_tag(self):
        """Return the tag: the objects in a pack know neither Python nor its version."""
        if not WITH_PACK:
            return super().get_tag()
        self.root_is_pure = False
        platform = super().get_tag()[2]
        self.root_is_pure = True
        return "py3", "none", platform


setup(cmdclass={"build_py": BuildWithPack, "bdist_wheel": WheelOfOnePlatform})
