"""C26: alarms."""

from __future__ import annotations

from types import SimpleNamespace

from labctl.checks.log import Log, cloud_check

_SECONDS = (240.0, 900.0)
_GRANULARITY = 300  # seconds: the only one of Gnocchi's own archive policy "low"
_THRESHOLD, _VALUE = 10, 42


@cloud_check(
    "C26",
    "An alarm fires",
    exercises="Aodh's API and evaluator, its way to Gnocchi; Gnocchi's metricd",
    needs=("C02:aodh", "C02:gnocchi"),
    limit=(300, 1200),
)
def alarm(log: Log) -> None:
    """Send a measure of 42 to a new metric, make an alarm for more than ten, see it in state *alarm*, and remove both
    again."""
    cloud, node = log.cloud, log.cloud.node("aodh")
    if not node:
        log.skip("no node has the role aodh")
    gnocchi, aodh, store = cloud.api("gnocchi"), cloud.api("aodh"), cloud.node("gnocchi")

    def metric(name: str) -> SimpleNamespace:
        made = gnocchi.post("/v1/metric", json={"name": name, "archive_policy_name": "low"}).json()
        return SimpleNamespace(id=made["id"])

    with cloud.made.scope(cloud):
        with log.step("metric", node=store, suspect="gnocchi"):
            series = cloud.made.make("metric", "metric", metric).id
        with log.step("send", node=store, suspect="gnocchi"):
            # By the node's own clock, whatever this machine's says.
            gnocchi.post(f"/v1/metric/{series}/measures", json=[{"timestamp": "-1 seconds", "value": _VALUE}])
        with log.step("measure", node=store, suspect="gnocchi: its metricd"):
            path = f"/v1/metric/{series}/measures?aggregation=max"
            log.until(lambda: gnocchi.get(path).json(), "Gnocchi had computed the measure", _SECONDS)

        def watch(name: str) -> SimpleNamespace:
            rule = {"metrics": [series], "aggregation_method": "max", "granularity": _GRANULARITY}
            rule |= {"threshold": _THRESHOLD, "comparison_operator": "gt", "evaluation_periods": 1}
            kind = "gnocchi_aggregation_by_metrics_threshold"
            wanted = {"name": name, "type": kind, f"{kind}_rule": rule}
            return SimpleNamespace(id=aodh.post("/v2/alarms", json=wanted).json()["alarm_id"])

        with log.step("alarm", node=node, suspect="aodh"):
            made = cloud.made.make("alarm", "alarm", watch).id
        with log.step("fire", node=node, suspect="aodh: its evaluator"):
            state = f"/v2/alarms/{made}/state"
            log.until(lambda: aodh.get(state).json() == "alarm", "the alarm fired", _SECONDS)
