"""The floor: the libvirt calls that eight nodes cost at least, by a plain script with four threads.

`python floor.py URI POOL DOCUMENTS`: DOCUMENTS holds finished XML and ISO files; nothing is computed here.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libvirt


def main(uri: str, pool_name: str, documents: Path) -> None:
    """Define and start everything in `documents`."""
    connection = libvirt.open(uri)
    pool = connection.storagePoolLookupByName(pool_name)

    def network(file: Path) -> None:
        connection.networkDefineXML(file.read_text()).create()

    def node(folder: Path) -> None:
        for file in sorted(folder.glob("volume-*.xml")):
            volume = pool.createXML(file.read_text())
            if file.stem == "volume-seed":
                content = (folder / "seed.iso").read_bytes()
                stream = connection.newStream()
                volume.upload(stream, 0, len(content))
                for offset in range(0, len(content), 262144):
                    stream.send(content[offset : offset + 262144])
                stream.finish()
        connection.defineXML((folder / "domain.xml").read_text()).create()

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(network, sorted(documents.glob("network-*.xml"))))
        list(executor.map(node, sorted(folder for folder in documents.iterdir() if folder.is_dir())))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
