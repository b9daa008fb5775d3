"""Types exercises of docs/exercises in a lab, as a reader would; stops at the first line that fails.

    python tests/cloud/exercises.py team01 resize migrate [--node api-node] [--slow 15]

Blocks of a page share one shell on its node: what one sets, the next one knows. Lines that begin with labctl are typed
here.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.cloud import pages
from tests.cloud.pages import Block, Page

_MINUTES = 20  # that a block may take on a machine with KVM, times --slow


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("team")
    parser.add_argument("pages", nargs="+", choices=[page.name for page in pages.every()], metavar="PAGE")
    parser.add_argument("--node", help="instead of the one that the pages name")
    parser.add_argument("--slow", type=float, default=1)
    options = parser.parse_args()
    for page in (page for page in pages.every() if page.name in options.pages):
        if failed := typed(page, options.team, options.node or page.node, _MINUTES * 60 * options.slow):
            print(f"{page.name}: FAILED: {failed}", flush=True)
            return 1
    return 0


def typed(page: Page, team: str, node: str, seconds: float) -> str:
    """Type a page's blocks; return what went wrong."""
    kept = f"/tmp/exercise-{page.name}"
    for number, block in enumerate(page.blocks, start=1):
        began = time.monotonic()
        done = subprocess.run(_command(block, team, node, kept), timeout=seconds, check=False)
        print(f"{time.monotonic() - began:8.1f} s  {page.name} {number}/{len(page.blocks)}", flush=True)
        if done.returncode:
            return f"block {number}:\n{block.text}"
    subprocess.run(["labctl", "ssh", "-t", team, node, "--", f"rm -f {kept}"], check=True)
    return ""


def _command(block: Block, team: str, node: str, kept: str) -> list[str]:
    """Return the command that types a block; variables are kept in a file from one block to the next."""
    if block.outside:
        return ["sh", "-exc", block.text.replace("team01", team)]
    script = f"[ ! -e {kept} ] || . {kept}\nset -ex\n{block.text}\nset +x\n{{ declare -x; declare -p; }} 2>/dev/null |"
    script += f" grep -E '^declare (-x|--) [a-zA-Z]' >{kept}"
    return ["labctl", "ssh", "-t", team, node, "--", f"bash -c {shlex.quote(script)}"]


if __name__ == "__main__":
    sys.exit(main())
