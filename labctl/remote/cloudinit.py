"""Waits for cloud-init inside a node and judges its result."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from labctl.errors import DeadlineError
from labctl.remote.transport import Transport

# Runs inside the node, on one channel. Everything in the loop is built into the shell: a process costs tens of
# milliseconds in an emulated guest, just while it boots. bash can pause by itself, on a pipe that stays silent.
# Marks at line starts tell the parts of the answer apart.
_SCRIPT = r"""
result=/run/cloud-init/result.json status=/run/cloud-init/status.json seen= round=0
command -v cloud-init >/dev/null || { echo =absent; exit 0; }
pause() { sleep 0.3; }
[ -z "$BASH_VERSION" ] || eval 'exec 9<> <(:) && pause() { read -r -t 0.3 -u 9 _; }'
over() {
  command -v systemctl >/dev/null || return 1
  case $(systemctl is-system-running 2>/dev/null) in running|degraded) [ ! -e $result ];; *) return 1;; esac
}
while [ ! -e $result ]; do
  [ ! -e /run/cloud-init/disabled ] || { echo =disabled; exit 0; }
  [ $round -lt @ROUNDS@ ] || exit 0
  if [ $((round % 4)) -eq 0 ] && [ -r $status ]; then
    while read -r word value; do
      case $word in '"stage":') [ "$value" = "$seen" ] || { seen=$value; echo "=stage $value"; };; esac
    done <$status
  fi
  if [ $((round % 100)) -eq 0 ] && over; then break; fi
  round=$((round + 1))
  pause
done
if [ -e $result ]; then
  echo =result
  cat $result
  ! grep -q '"errors": \[\]' $result || exit 0
else
  echo =unfinished
fi
echo =log
for log in /var/log/cloud-init.log /var/log/cloud-init-output.log; do
  [ ! -r $log ] || { echo "$log:"; tail -n 15 $log; }
done
"""


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """The result of cloud-init.

    Attributes:
        ok: whether the node is as the seed wants it.
        errors: what cloud-init reported; recoverable ones are not among them.
        datasource: where the seed came from; None in a node without cloud-init, or where it is switched off.
        seconds: how long we waited.
        log: last lines of cloud-init's logs, when something went wrong.
    """

    ok: bool
    errors: tuple[str, ...] = ()
    datasource: str | None = None
    seconds: float = 0.0
    log: str = ""

    @property
    def details(self) -> str:
        """The errors and the log, for a message."""
        return "\n".join(filter(None, (*self.errors, self.log)))


def judge(result_json: str) -> Seeded:
    """Judge cloud-init's result.json.

    Its "errors" hold what failed; recoverable errors, for which recent releases call themselves degraded, are kept
    elsewhere (status.json) and do no harm.
    """
    try:
        document = json.loads(result_json)["v1"]
        errors = tuple(str(error) for error in document["errors"])
        datasource = document["datasource"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        return Seeded(ok=False, errors=(f"cloud-init's result.json cannot be understood: {exc!r}",))
    if str(datasource).startswith("DataSourceNone"):
        errors = (*errors, "cloud-init found no seed")
    return Seeded(ok=not errors, errors=errors, datasource=None if datasource is None else str(datasource))


def wait_seeded(
    transport: Transport,
    *,
    deadline: float,
    progress: Callable[[str], None] | None = None,
    cancelled: threading.Event | None = None,
) -> Seeded:
    """Wait until cloud-init has finished in a node, and judge it.

    Without cloud-init in the node (CirrOS has none) it is seeded: it let us in with a key that only the seed holds.

    Args:
        transport: the node.
        deadline: `time.monotonic()` at which to give up.
        progress: receives the name of each stage that cloud-init enters.
        cancelled: ends the wait when set.

    Raises:
        DeadlineError: it had not finished by then; the details name the last stage seen.
        RemoteError: the node was lost, or `cancelled` was set.
    """
    started = time.monotonic()
    left = max(deadline - started, 0.1)
    stage = "none yet"

    def receive(line: str) -> None:
        nonlocal stage
        if line.startswith("=stage "):
            stage = line.removeprefix("=stage ").strip('",')
            if progress is not None:
                progress(stage)

    script = _SCRIPT.replace("@ROUNDS@", str(int(left / 0.3) + 1))
    try:
        said = transport.run(script, timeout=left, on_output=receive, cancelled=cancelled).stdout
    except DeadlineError as exc:
        raise DeadlineError(
            f"{transport.name}: cloud-init did not finish in time", details=f"Last stage seen: {stage}"
        ) from exc
    seeded = _read(said)
    if seeded is None:
        raise DeadlineError(f"{transport.name}: cloud-init did not finish in time", details=f"Last stage seen: {stage}")
    return dataclasses.replace(seeded, seconds=time.monotonic() - started)


def _read(said: str) -> Seeded | None:
    """Judge the script's answer; None when it gave up waiting."""
    body, _, log = said.partition("=log\n")
    marks = body.splitlines()
    if "=absent" in marks or "=disabled" in marks:
        return Seeded(ok=True)
    if "=unfinished" in marks:
        return Seeded(ok=False, errors=("the node has booted, but cloud-init did not finish",), log=log.strip())
    _, found, result = body.partition("=result\n")
    if not found:
        return None
    seeded = judge(result)
    return seeded if seeded.ok else dataclasses.replace(seeded, log=log.strip())
