"""Zarr stores whose metadata and chunks are looked at before zarr unpacks them: it sets no bounds itself."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.codecs import ShardingCodec
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from framecast.data.addresses import StoreAddress, translate_errors
from framecast.data.formats.unpacking import check_packed, check_unpacked
from framecast.errors import InputError

METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
"""Names of the files of metadata, of version 3 and 2."""
METADATA_LIMIT = 16 << 20
"""Bytes of a file of metadata."""
DEPTH = 64
"""Brackets within one another in metadata."""
CHECKSUM = 64
"""Bytes that checksums may add to a chunk."""


class ChunkRule(NamedTuple):
    """How the chunks of an array are packed."""

    codecs: tuple[str, ...]
    """Names of the codecs in the order of decoding."""
    declared: int
    """Bytes of a chunk once unpacked."""
    inner: ChunkRule | None = None
    """Rule of the chunks within a shard; None where there are no shards."""
    chunks: int = 0
    """Chunks of a shard."""
    is_index_first: bool = False
    """Whether the places of these chunks stand at the beginning of a shard."""

    @property
    def index_size(self) -> int:
        """Bytes of the places of the chunks of a shard: two numbers of 8 bytes each, and a checksum."""
        return 16 * self.chunks + 4

    def check(self, packed: bytes, name: str, *, is_part: bool) -> None:
        """Check a chunk, a shard, or a part of a shard.

        Raises:
            InputError: it becomes more than was declared.
        """
        if self.inner is None:
            # filters in front of the compressor may store values of another size
            check_packed(self.codecs, packed, self.declared * (8 if len(self.codecs) > 2 else 1) + CHECKSUM, name)
        elif not is_part:
            index = packed[: self.index_size] if self.is_index_first else packed[-self.index_size :]
            places = np.frombuffer(index[: 16 * self.chunks], "<u8").reshape(-1, 2).tolist()
            for begin, size in places:
                if begin != 2**64 - 1:  # that of a chunk that was never written
                    self.inner.check(packed[begin : begin + size], name, is_part=False)
        elif len(packed) != self.index_size:
            self.inner.check(packed, name, is_part=False)


class CheckedStore(WrapperStore[Store]):
    """Store of a folder or a bucket that gives no chunk of which it is not known what it becomes.

    Args:
        store: of the folder.
        name: of the store, for errors.
        rules: by the path of an array in the store; filled by `open_store`.
        hides_fills: whether the attribute `_FillValue` is left out of metadata of version 3. xarray knows one spelling
            of it, its own, and refuses numbers and texts such as NaN.
    """

    def __init__(
        self, store: Store, name: str, rules: dict[str, ChunkRule] | None = None, *, hides_fills: bool = False
    ) -> None:
        super().__init__(store)
        self.name = name
        self.rules = {} if rules is None else rules
        self.hides_fills = hides_fills

    def _with_store(self, store: Store) -> CheckedStore:
        return CheckedStore(store, self.name, self.rules, hides_fills=self.hides_fills)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read a file, or a part of it, and check it."""
        try:
            buffer = await super().get(key, prototype, byte_range)
        except (OSError, ValueError):
            raise
        except Exception as error:  # each client of the network has its own classes
            raise OSError(f"{type(error).__name__}: {error}") from error
        if buffer is not None:
            content = buffer.to_bytes()
            self._check(key, content, is_part=byte_range is not None)
            if self.hides_fills and key.rpartition("/")[2] == METADATA[0] and byte_range is None:
                return prototype.buffer.from_bytes(_hide_fill(content))
        return buffer

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of files one by one, and check them."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        for key, prototype, byte_range in requests:
            yield key, await self.get(key, prototype, byte_range)

    def _check(self, key: str, content: bytes, *, is_part: bool) -> None:
        name = f"{self.name}: {key}"
        if key.rpartition("/")[2] in METADATA:
            _check_metadata(content, name)
            return
        rule = next((rule for path, rule in self.rules.items() if not path or key.startswith(f"{path}/")), None)
        if rule is None:
            raise InputError(name, got="a chunk of no array", expected="chunks of arrays that are in the store")
        rule.check(content, name, is_part=is_part)


def open_store(path: Path, unpack_limit: int | None) -> CheckedStore:
    """Open the store of a folder, and read how the chunks of all its arrays are packed.

    Args:
        path: of an array or a group.
        unpack_limit: bytes of a chunk, unpacked; None to judge by the memory at hand.

    Raises:
        InputError: links out of the folder, metadata that are too large or too deep, or chunks that the memory does not
            hold.
    """
    store = CheckedStore(_connect(path), str(path))
    node = open_node(store)
    arrays = dict(node.members(max_depth=None)) if isinstance(node, zarr.Group) else {"": node}
    for key, array in arrays.items():
        if isinstance(array, zarr.Array):
            rule = _read_rule(array)
            check_unpacked(rule.declared, f"{path}: {key}" if key else str(path), unpack_limit)
            store.rules[key] = rule
    return store


def _connect(path: Path) -> Store:
    if not isinstance(path, StoreAddress):
        check_links(path)
        return LocalStore(path, read_only=True)
    path.connect()  # says in a line what is not installed
    store: Store = translate_errors(lambda: FsspecStore.from_url(str(path), read_only=True), str(path))
    return store


def check_links(path: Path) -> None:
    """Refuse links within the folder of a store that lead out of it: a stranger's store could show files of the user.

    The folder itself may be a link, which the user made.

    Raises:
        InputError: there is such a link.
    """
    root = os.path.realpath(path)
    folders = [root]
    while folders:  # an archive may have a million chunks: each folder is listed once
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_symlink() and not os.path.realpath(entry.path).startswith(root + os.sep):
                    fix = "if you trust it, copy it with cp -rL and read the copy"
                    got = "a link that leads out of the store"
                    raise InputError(entry.path, got=got, expected="values in the store itself", fix=fix)


def open_node(store: CheckedStore) -> Any:
    """Open the array or group at the root of a store, by the metadata of each array itself: copies may say otherwise."""
    return zarr.open(store, mode="r", use_consolidated=False)


def _read_rule(array: zarr.Array[Any]) -> ChunkRule:
    itemsize = getattr(array.dtype, "itemsize", 8)
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        codecs = [each.codec_id for each in (*(metadata.filters or ()), metadata.compressor) if each is not None]
        return ChunkRule(tuple(reversed(codecs)), math.prod(array.chunks) * itemsize)
    return _read_codecs(metadata.codecs, metadata.chunk_grid.chunk_shape, itemsize)


def _read_codecs(codecs: Iterable[Any], shape: tuple[int, ...], itemsize: int) -> ChunkRule:
    codecs, size = list(codecs), math.prod(shape) * itemsize
    if codecs and isinstance(codecs[0], ShardingCodec):
        shard = codecs[0]
        inner = _read_codecs(shard.codecs, shard.chunk_shape, itemsize)
        count = math.prod(-(-whole // part) for whole, part in zip(shape, shard.chunk_shape, strict=True))
        index = [_name_codec(codec) for codec in shard.index_codecs]
        if len(codecs) == 1 and index == ["bytes", "crc32c"]:
            return ChunkRule((), size, inner, count, shard.index_location.value == "start")
        return ChunkRule(("sharding with other codecs around it",), size)
    return ChunkRule(tuple(_name_codec(codec) for codec in reversed(codecs)), size)


def _name_codec(codec: Any) -> str:
    return str(codec.to_dict()["name"]).removeprefix("numcodecs.")


def _hide_fill(content: bytes) -> bytes:
    """Leave the attribute `_FillValue` out of the metadata of an array or a group."""
    metadata = json.loads(content)
    if isinstance(metadata, dict) and isinstance(metadata.get("attributes"), dict):
        metadata["attributes"].pop("_FillValue", None)
    return json.dumps(metadata).encode()


def _check_metadata(content: bytes, name: str) -> None:
    """Refuse what a reader of JSON could not take: it calls itself for each bracket."""
    if len(content) > METADATA_LIMIT:
        raise InputError(name, got=f"{len(content)} bytes of metadata", expected=f"at most {METADATA_LIMIT}")
    # escapes first: after that each text ends at its next quote
    structure = re.sub(rb'"[^"]*"', b"", re.sub(rb"\\.", b"", content, flags=re.DOTALL))
    depth = 0
    for letter in re.findall(rb"[][{}]", structure):
        depth += 1 if letter in b"[{" else -1
        if depth > DEPTH:
            raise InputError(name, got=f"more than {DEPTH} brackets within one another", expected=f"at most {DEPTH}")
