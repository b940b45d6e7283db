"""Which photos a run is trained on, so that runs on other photos are not compared by mistake."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnncodec.data.shards import read_manifest


def dataset_identity(shards: Sequence[str]) -> dict[str, Any]:
    """The name of the folders of ``shards``, their number, and, where the manifests of `write_shards` are beside them,
    how many photos they hold and eight hexadecimal digits of the hash of their content."""
    folders = sorted({str(Path(shard).parent) for shard in shards})
    known: dict[str, dict[str, Any]] = {}
    for manifest in (path for folder in folders for path in sorted(Path(folder).glob("manifest*.json"))):
        try:
            entries = read_manifest(manifest).shards
            known |= {str(manifest.with_name(entry["name"])): entry for entry in entries}
        except (OSError, ValueError, TypeError, KeyError):  # of another program
            continue
    identity: dict[str, Any] = {"name": ", ".join(Path(folder).name for folder in folders), "shards": len(shards)}
    held = [known[path] for shard in shards if (path := str(Path(shard))) in known]
    if len(held) < len(shards):
        return identity
    content = sorted((entry["name"], entry["sha256"]) for entry in held)  # wherever the folders are
    digest = hashlib.sha256("\n".join(checksum for _, checksum in content).encode()).hexdigest()[:8]
    return identity | {"photos": sum(entry["photos"] for entry in held), "hash": digest}
