"""C25: measures."""

from __future__ import annotations

import secrets

from labctl.checks import c07_image
from labctl.checks.log import Log, cloud_check

_BYTES = 100_000
_SECONDS = (180.0, 900.0)


@cloud_check(
    "C25",
    "A measure arrives",
    exercises="Glance's notifications, the queue, Ceilometer's notification agent, Gnocchi's API and metricd",
    needs=("C02:gnocchi", "C07:upload"),
    limit=(240, 1200),
)
def measures(log: Log) -> None:
    """Upload an image, wait until Gnocchi knows it, download it, and wait until Gnocchi says how many bytes it was. The
    image is removed; Gnocchi keeps what was measured, as it does of everything that is gone."""
    cloud, node = log.cloud, log.cloud.node("ceilometer")
    if not node:
        log.skip("no node has the role ceilometer")
    glance, gnocchi = cloud.node("glance"), cloud.api("gnocchi")
    if not glance:
        log.skip("no node has the role glance, whose notifications are looked for")
    with cloud.made.scope(cloud):
        image = c07_image.make(log, secrets.token_bytes(_BYTES))
        resource = f"/v1/resource/image/{image.id}"
        with log.step("resource", node=node, suspect="ceilometer: its notification agent"):
            log.until(lambda: gnocchi.get(resource).json(), "Gnocchi knew the image", _SECONDS)
        # A download is not enough to make the image known: what is told of it lacks its format.
        log.ask("download", lambda: cloud.demo.image.download_image(image.id), node=glance, suspect="glance")
        metric = f"{resource}/metric/image.download"
        with log.step("told", node=glance, suspect="glance: what it tells the message queue"):
            log.until(lambda: gnocchi.get(metric).json(), "Gnocchi knew of a download", _SECONDS)
        with log.step("measure", node=cloud.node("gnocchi"), suspect="gnocchi: its metricd"):
            log.until(
                lambda: _BYTES in [value for _, _, value in gnocchi.get(f"{metric}/measures").json()],
                "Gnocchi had the bytes of the download",
                _SECONDS,
            )
