"""Base images as a table."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.images.store import Image
from labctl.report.table import table
from labctl.sizes import size


def lines(images: Sequence[Image], buildable: Sequence[str]) -> str:
    """Return the images, and the recipes that were not built yet, as people read them."""
    rows = [
        [
            image.manifest.name,
            size(image.manifest.size),
            size(image.manifest.virtual_size),
            image.manifest.created,
            image.manifest.sha256[:12],
            image.manifest.source,
        ]
        for image in images
    ]
    parts = (
        [table(["IMAGE", "SIZE", "DISK", "CREATED", "SHA256", "SOURCE"], rows)] if rows else ["There are no images."]
    )
    parts += [f"{name} can be built: labctl image build {name}" for name in buildable]
    return "\n".join(parts)
