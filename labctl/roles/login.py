"""The files with which people and programs in a node log in to the cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from labctl.changes import Action, PutFile
from labctl.cloud.cloud import Cloud
from labctl.quoting import shell, yaml
from labctl.secret import Secret, Text, join

USERS = {"admin": "admin", "demo": "demo"}
"""User to project: who has such a file."""


def openrc(cloud: Cloud, user: str, node: str | None = None) -> Text:
    """Write the variables for a shell; `. admin-openrc` reads them.

    Args:
        node: where they are used; None is outside the nodes.
    """
    url, interface = _way(cloud, node)
    values: dict[str, Text] = {
        "OS_AUTH_URL": url,
        "OS_INTERFACE": interface,
        "OS_USERNAME": user,
        "OS_PASSWORD": cloud.secret(user),
        "OS_PROJECT_NAME": USERS[user],
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": cloud.spec.region,
        "OS_IDENTITY_API_VERSION": "3",
    }
    return join(f"export {name}=" + _mapped(value, shell) + "\n" for name, value in values.items())


def clouds_yaml(cloud: Cloud, node: str | None = None) -> Text:
    """Write clouds.yaml, whose clouds bear the users' names: `openstack --os-cloud demo`."""
    return "clouds:\n" + _clouds(cloud, node)


def clouds_of_teams(clouds: Iterable[Cloud]) -> Text:
    """Write one clouds.yaml for several labs: `openstack --os-cloud team01-demo`."""
    return join(["clouds:\n", *(_clouds(cloud, None, f"{cloud.lab.team}-") for cloud in clouds)])


def _clouds(cloud: Cloud, node: str | None, prefix: str = "") -> Text:
    url, interface = _way(cloud, node)
    lines: list[Text] = []
    for user, project in USERS.items():
        lines += [
            f"  {prefix}{user}:",
            f"    region_name: {yaml(cloud.spec.region)}",
            "    identity_api_version: 3",
            f"    interface: {interface}",
            "    auth:",
            f"      auth_url: {yaml(url)}",
            f"      username: {yaml(user)}",
            "      password: " + cloud.secret(user).map(yaml),
            f"      project_name: {yaml(project)}",
            "      user_domain_name: Default",
            "      project_domain_name: Default",
        ]
    return join(line + "\n" for line in lines)


def files(cloud: Cloud, node: str) -> tuple[Action, ...]:
    """Put the files where the tutorial's reader finds them: in root's home."""
    made = [PutFile(path=f"/root/{user}-openrc", content=openrc(cloud, user, node), mode=0o600) for user in USERS]
    return (*made, PutFile(path="/root/clouds.yaml", content=clouds_yaml(cloud, node), mode=0o600))


def _mapped(text: Text, quoted: Callable[[str], str]) -> Text:
    return text.map(quoted) if isinstance(text, Secret) else quoted(text)


def _way(cloud: Cloud, node: str | None) -> tuple[str, str]:
    """Return Keystone's address and the kind of endpoints for a node: compute nodes are not on the public network."""
    if node is None or cloud.card(node, cloud.spec.public):
        return f"http://{cloud.public('keystone')}:5000/v3", "public"
    return cloud.auth_url(), "internal"
