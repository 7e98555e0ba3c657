"""onnxruntime for browsers: from a folder, or from the npm registry at the first use, checked and kept."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

from framecast import files
from framecast.errors import UsageError

VERSION = "1.30.0"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
"""Digest of the package of that version; another content is refused."""
SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
DIGESTS = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""Digests of the files of that version; in a folder of the user's own they are not asked for."""
LARGEST = 2**26
"""Bytes that the package may have, and each file of it."""
TIMEOUT = 60
"""Seconds without an answer."""


class BrowserRuntime(NamedTuple):
    """Files of onnxruntime-web that a page needs."""

    script: bytes
    binary: bytes


def find_runtime(folder: Path | None = None, cache: Path | None = None) -> BrowserRuntime:
    """Find onnxruntime-web, and fetch it where it is not kept yet.

    Args:
        folder: holds it, of any version, as `npm pack onnxruntime-web` unpacks it (package/dist); None for the cache.
        cache: where what was fetched is kept; by default framecast's folder in ~/.cache.

    Raises:
        UsageError: a folder without it, no connection, or another content than that of the version.
    """
    if folder is not None:
        return _read(folder)
    kept = (cache or Path.home() / ".cache" / "framecast") / f"onnxruntime-web-{VERSION}"
    if all(_holds(kept / name, digest) for name, digest in DIGESTS.items()):
        return _read(kept)
    content = _fetch()
    for name in DIGESTS:
        files.write(kept / name, lambda file, name=name: file.write(content[name]))  # type: ignore[misc]
    return BrowserRuntime(content[SCRIPT], content[BINARY])


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and files.sha256(path) == digest


def _read(folder: Path) -> BrowserRuntime:
    try:
        return BrowserRuntime(*((folder / name).read_bytes() for name in (SCRIPT, BINARY)))
    except OSError as error:
        expected = f"{SCRIPT} and {BINARY} of onnxruntime-web"
        fix = f"npm pack onnxruntime-web@{VERSION}, unpack it, and give its package/dist"
        raise UsageError("--runtime", got=f"{folder} without them", expected=expected, fix=fix) from error


def _fetch() -> dict[str, bytes]:
    """Fetch the package, and unpack the files in memory."""
    offline = f"--runtime FOLDER, with package/dist of npm pack onnxruntime-web@{VERSION}"
    try:
        with urllib.request.urlopen(ADDRESS, timeout=TIMEOUT) as answer:
            package = answer.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(ADDRESS, got=f"no answer ({error})", expected="the package", fix=offline) from error
    if hashlib.sha256(package).hexdigest() != SHA256:
        raise UsageError(ADDRESS, got="another content", expected=f"the sha256 {SHA256}", fix=offline)
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        members = {name: archive.extractfile(f"package/dist/{name}") for name in DIGESTS}
        return {name: member.read(LARGEST) for name, member in members.items() if member is not None}
