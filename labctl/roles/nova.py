"""The compute service's control plane: API, metadata, conductor, scheduler, console proxy."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.changes import Ini, Packages, PutFile, Run, Unit, Wait
from labctl.cloud.cloud import Cloud
from labctl.roles.role import Password, Reports, Step, role
from labctl.roles.shared import (
    Values,
    as_user,
    authtoken,
    database,
    endpoint,
    merge,
    messaging,
    notifications,
    uwsgi,
    wait_for_reports,
)

# Nova's own filters, and those with which an aggregate of hosts is for some flavors or for one project.
_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
    "AggregateInstanceExtraSpecsFilter",
    "AggregateMultiTenancyIsolation",
)


def common(cloud: Cloud, node: str) -> Values:
    """Return the settings of nova.conf that control plane and compute nodes share."""
    return merge(
        messaging(cloud),
        authtoken(cloud, "nova", node),
        {
            "DEFAULT": {
                "my_ip": cloud.address(node),
                "state_path": "/var/lib/nova",
                "report_interval": cloud.seconds(10, 60),
                "service_down_time": cloud.seconds(60, 600),
                "vif_plugging_timeout": cloud.seconds(300, 900),
                "block_device_allocate_retries": cloud.seconds(60, 300),
                "reserved_host_memory_mb": 0,
                "initial_ram_allocation_ratio": 4,
                "initial_cpu_allocation_ratio": 16,
            },
            "oslo_concurrency": {"lock_path": "/var/lock/nova"},
            "service_user": cloud.credentials("nova") | {"send_service_user_token": True},
            "placement": cloud.credentials("placement"),
            "glance": {"api_servers": f"http://{cloud.internal('glance')}:9292"},
            "neutron": cloud.credentials("neutron")
            | {
                "service_metadata_proxy": True,
                "metadata_proxy_shared_secret": cloud.secret("metadata"),
                "service_name": None,
            },
            "cinder": {"os_region_name": cloud.spec.region} | _volumes(cloud),
        },
        # Elsewhere a resized instance moves to the other compute node.
        {"DEFAULT": {"allow_resize_to_same_host": True}} if len(cloud.nodes("compute")) == 1 else {},
        _told(cloud),
    )


def _told(cloud: Cloud) -> Values:
    """Return the settings with which Nova tells what instances do, and once an hour which there were."""
    if not (told := notifications(cloud)):
        return {}
    return told | {
        "DEFAULT": {"instance_usage_audit": True, "instance_usage_audit_period": "hour"},
        "notifications": {"notify_on_state_change": "vm_and_task_state"},
    }


def _volumes(cloud: Cloud) -> dict[str, object]:
    return {"catalog_info": "block-storage:cinder:internalURL"} if cloud.nodes("cinder") else {}


@role(
    "nova",
    "Compute service, control plane",
    chapter=9,
    needs=("keystone", "placement", "glance", "rabbitmq"),
    reports=Reports("nova.services", "last_seen_up"),
    listens={"nova-conductor": "conductor", "nova-scheduler": "scheduler"},
    single=True,
    passwords=(Password("nova"), Password("nova-db"), Password("metadata")),
)
def nova(cloud: Cloud, node: str) -> Iterator[Step]:
    """Set up Nova's control plane with one cell."""
    yield Step(
        title="Nova's databases",
        node=cloud.node("mariadb"),
        actions=(database(cloud, "nova_api", "nova", "nova_cell0"),),
    )
    yield Step(
        title="Nova's user and endpoints",
        node=cloud.node("keystone"),
        actions=(endpoint(cloud, "nova", "compute", "OpenStack Compute", 8774, "/v2.1"),),
    )
    address = cloud.address(node)
    values = merge(
        common(cloud, node),
        {
            "database": {"connection": cloud.database_url("nova")},
            "api_database": {"connection": cloud.database_url("nova_api")},
            "scheduler": {
                "workers": 1,
                # New compute nodes join by themselves.
                "discover_hosts_in_cells_interval": cloud.seconds(20, 60),
            },
            "filter_scheduler": {"enabled_filters": ",".join(_FILTERS)},
            "conductor": {"workers": 1},
            "vnc": {
                "enabled": True,
                "server_listen": "0.0.0.0",  # noqa: S104 - the console proxy answers on the public network
                "server_proxyclient_address": address,
                "novncproxy_host": "0.0.0.0",  # noqa: S104
            },
        },
    )

    def manage(command: str, seconds: float = 300) -> Run:
        return Run(command=as_user("nova", f"nova-manage {command}"), seconds=seconds)

    yield Step(
        title="Nova's configuration and tables",
        node=node,
        actions=(
            Packages(
                names=("nova-api", "nova-conductor", "nova-scheduler", "nova-consoleproxy", "python3-pymysql", "curl")
            ),
            Ini(path="/etc/nova/nova.conf", values=values),
            PutFile(
                path="/etc/default/nova-consoleproxy",
                content="NOVA_CONSOLE_PROXY_TYPE=novnc\nNOVA_SERIAL_PROXY_START=FALSE\n",
            ),
            uwsgi("nova-api", "nova", green=2),
            uwsgi("nova-api-metadata", "nova", green=1),
            manage("api_db sync"),
            manage("cell_v2 map_cell0"),  # nova_cell0 beside the main database
            manage("db sync", 600),
            Run(
                command=as_user("nova", "nova-manage cell_v2 create_cell --name cell1"),
                unless=as_user("nova", "nova-manage cell_v2 list_cells") + " | grep -q cell1",
            ),
        ),
    )
    yield Step(
        title="Nova's APIs answer",
        node=node,
        actions=(
            Unit(names=("nova-api", "nova-api-metadata")),
            Wait(until=f"curl -sf -o /dev/null http://{address}:8774/", what="Nova's API answers", seconds=90),
            Wait(until=f"curl -sf -o /dev/null http://{address}:8775/", what="Nova's metadata API answers", seconds=90),
        ),
    )
    yield Step(
        title="Nova's conductor, scheduler and console proxy run",
        node=node,
        live=True,
        actions=(
            Unit(names=("nova-conductor", "nova-scheduler", "nova-novncproxy"), seconds=90),
            Wait(
                until=f"curl -sf -o /dev/null http://{address}:6080/vnc_lite.html",
                what="the console proxy answers",
                seconds=60,
            ),
        ),
    )
    yield Step(
        title="Nova's services report",
        node=cloud.node("mariadb"),
        live=True,
        actions=(wait_for_reports(cloud, node, "nova-conductor", "nova-scheduler"),),
    )
