"""The files with which people and programs in a node log in to the cloud."""

from __future__ import annotations

from labctl.actions import Action, PutFile
from labctl.quoting import shell, yaml
from labctl.roles.cloud import Cloud

USERS = {"admin": "admin", "demo": "demo"}
"""User to project: who has such a file."""


def openrc(cloud: Cloud, user: str, *, auth_url: str | None = None) -> str:
    """Write the variables for a shell; `. admin-openrc` reads them."""
    values = {
        "OS_AUTH_URL": auth_url or public_url(cloud),
        "OS_USERNAME": user,
        "OS_PASSWORD": cloud.secret(user),
        "OS_PROJECT_NAME": USERS[user],
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": cloud.spec.region,
        "OS_IDENTITY_API_VERSION": "3",
    }
    return "".join(f"export {name}={shell(value)}\n" for name, value in values.items())


def clouds_yaml(cloud: Cloud, *, auth_url: str | None = None) -> str:
    """Write clouds.yaml, whose clouds bear the users' names: `openstack --os-cloud demo`."""
    lines = ["clouds:"]
    for user, project in USERS.items():
        lines += [
            f"  {user}:",
            f"    region_name: {yaml(cloud.spec.region)}",
            "    identity_api_version: 3",
            "    auth:",
            f"      auth_url: {yaml(auth_url or public_url(cloud))}",
            f"      username: {yaml(user)}",
            f"      password: {yaml(cloud.secret(user))}",
            f"      project_name: {yaml(project)}",
            "      user_domain_name: Default",
            "      project_domain_name: Default",
        ]
    return "\n".join(lines) + "\n"


def public_url(cloud: Cloud) -> str:
    """Return Keystone's public address."""
    return f"http://{cloud.public('keystone')}:5000/v3"


def files(cloud: Cloud) -> tuple[Action, ...]:
    """Put the files where the tutorial's reader finds them: in root's home."""
    made = [PutFile(path=f"/root/{user}-openrc", content=openrc(cloud, user), mode=0o600) for user in USERS]
    return (*made, PutFile(path="/root/clouds.yaml", content=clouds_yaml(cloud), mode=0o600))
