"""X3: the EC2 API."""

from __future__ import annotations

from labctl.checks.log import Log, cloud_check


@cloud_check("X3", "A server by the EC2 API", exercises="nothing: Debian 13 has no EC2 API", quick=True, limit=(1, 1))
def ec2(log: Log) -> None:
    """Always SKIPPED: there is no EC2 API in Debian 13 any more; a step of the tutorial that nobody can take here."""
    log.skip("Debian 13 has no EC2 API")
