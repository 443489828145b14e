"""Build the site: `python -m docs.site --run default --out build/site`, after `make reproduce`.

The pages are staged in a folder of their own (`pages`, `books`), and Sphinx makes HTML of them.
Every warning of Sphinx, such as a link to nowhere, is an error.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site import books, pages
from hvae_utils import paths
from hvae_utils.errors import UserError, WorkbookError

HERE = Path(__file__).parent


def build(run: Path, out: Path) -> int:
    """Build the site of a finished run into `out`, which is emptied first; return 0 if all is well.

    WorkbookError where the run has no executed notebooks, or `out` holds what is no site.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / ".buildinfo").is_file():
        raise WorkbookError(f"{out} holds what is no site; name another folder")
    with tempfile.TemporaryDirectory() as folder:
        staged, extra = Path(folder, "pages"), Path(folder, "extra")
        pages.stage(staged)
        books.stage(run, staged, extra)
        shutil.rmtree(out, ignore_errors=True)
        options = ["-b", "html", "-q", "-W", "--keep-going", "-c", str(HERE)]
        options += ["-d", str(Path(folder, "doctrees")), "-D", f"html_extra_path={extra}"]
        return build_main([*options, str(staged), str(out)])


def main() -> int:
    """Read the arguments, build, and say where the site is."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description="Build the site.")
    parser.add_argument("--run", default="default", help="the finished run that is shown")
    parser.add_argument("--out", type=Path, default=paths.ROOT / "build" / "site")
    chosen = parser.parse_args()
    try:
        failed = build(paths.RUNS / chosen.run, chosen.out)
    except (UserError, WorkbookError) as fault:
        print(f"site: {fault}", file=sys.stderr)
        return 2
    if not failed:
        print(f"the site is in {paths.shown(chosen.out)}; open index.html")
    return failed


if __name__ == "__main__":
    sys.exit(main())
