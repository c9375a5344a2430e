#!/usr/bin/env python3
"""Reads a registry with python-tuf, which shares no code with Portico's reader or writer.

    pip install tuf==7.0.0
    cargo run -p portico-registry --example example_registry -- /tmp/data
    python3 read_with_python_tuf.py /tmp/data/registries/examples/repository

Every metadata file must parse, the root must vouch for all of it, and every archive must download
with the digest that was signed. Prints one line per archive; exits with 1 when something does not hold.
"""

import json
import pathlib
import sys
import tempfile

from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater


class Folder(FetcherInterface):
    """Serves file: addresses, so that no server is needed."""

    def _fetch(self, url):
        path = pathlib.Path(url.removeprefix("file://"))
        if not path.is_file():
            from tuf.api.exceptions import DownloadHTTPError

            raise DownloadHTTPError(f"{path} is not there", 404)
        yield path.read_bytes()


def main(folder):
    folder = pathlib.Path(folder).resolve()
    files = sorted((folder / "metadata").glob("*.json"))
    for file in files:
        Metadata.from_file(str(file))
    with tempfile.TemporaryDirectory() as kept, tempfile.TemporaryDirectory() as archives:
        updater = Updater(
            metadata_dir=kept,
            metadata_base_url=f"file://{folder}/metadata/",
            target_dir=archives,
            target_base_url=f"file://{folder}/targets/",
            fetcher=Folder(),
            bootstrap=(folder / "root.json").read_bytes(),
        )
        updater.refresh()
        snapshot = Metadata.from_file(f"{kept}/snapshot.json").signed
        version = snapshot.meta["publisher.json"].version
        publisher = json.loads((folder / "metadata" / f"{version}.publisher.json").read_bytes())
        for path in sorted(publisher["signed"]["targets"]):
            target = updater.get_targetinfo(path)
            if target is None:
                sys.exit(f"{path}: no role vouches for it")
            manifest = json.loads(target.unrecognized_fields["custom"]["manifest"])
            updater.download_target(target)
            print(f"{manifest['id']} {manifest['version']}: {target.length} bytes")
        if updater.get_targetinfo("packages/no/such.portico") is not None:
            sys.exit("a target that is not there was found")
    print(f"{len(files)} metadata files, all read")


if __name__ == "__main__":
    main(*sys.argv[1:])
