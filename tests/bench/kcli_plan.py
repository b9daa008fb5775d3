"""Eight nodes by kcli's own provider, one after the other as `kcli create plan` makes them.

`python kcli_plan.py URI POOL FOLDER IMAGE JSON`. The command line of kcli 99.0 always asks for KVM; its provider takes
the type as an argument, so it is called here, with the arguments that the command line would give. It also calls
Element.getiterator, which Python dropped in 3.9: the method gets its old name back.
"""

from __future__ import annotations

import json
import sys

sys.modules["_elementtree"] = None  # type: ignore[assignment] # the Python implementation, which can be added to
import xml.etree.ElementTree as ET  # noqa: E402

ET.Element.getiterator = ET.Element.iter  # type: ignore[attr-defined]
from kvirt.kvm import Kvirt  # noqa: E402

uri, pool, image, nodes = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
provider = Kvirt(url=uri)
for node in nodes:
    result = provider.create(
        node["name"],
        virttype="qemu",
        cpumodel="qemu64",
        plan="bench",
        image=image,
        pool=pool,
        disks=[{"size": 10, "thin": True, "interface": "virtio"}],
        nets=[f"peer-{key}" for key in node["nics"]],
        memory=node["memory"],
        numcpus=node["vcpus"],
        cloudinit=True,
        nested=False,
        start=True,
    )
    if result["result"] != "success":
        sys.exit(str(result))
