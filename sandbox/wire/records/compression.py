"""Compresses and decompresses record batches, with a limit on the decompressed size.

Compressed records come from clients, and a few hundred bytes can expand to gigabytes. No buffer here is larger than the
given limit: the output buffer grows up to that limit only.

Each compression uses the format that Kafka's Java clients read and write: gzip; snappy in the framing of the xerial
library (a 16-byte header, then blocks with their length), and when reading also without framing, as some clients send
it; lz4 in its frame format with independent blocks, because the Java client refuses linked ones; zstd.

Source: https://kafka.apache.org/documentation/#recordbatch (attributes, bits 0 to 2); KIP-57 (lz4), KIP-110 (zstd).
"""

import struct
from typing import Final

import cramjam

NONE: Final = 0
GZIP: Final = 1
SNAPPY: Final = 2
LZ4: Final = 3
ZSTD: Final = 4

# By number, as in a batch's attributes and in the setting compression.type.
COMPRESSION_NAMES: Final = ("none", "gzip", "snappy", "lz4", "zstd")

# The default levels of Kafka's clients.
GZIP_LEVEL = 6
LZ4_LEVEL = 1
ZSTD_LEVEL = 3

XERIAL_MAGIC = b"\x82SNAPPY\0"
XERIAL_HEADER = XERIAL_MAGIC + struct.pack(">ii", 1, 1)
XERIAL_BLOCK_BYTES = 32 * 1024

GUESS_BYTES_MIN = 64 * 1024
GROWTH = 8

Buffer = bytes | bytearray | memoryview

_INT32 = struct.Struct(">i")


class CompressionError(ValueError):
    """Data that its compression can't decode, or that exceeds the limit."""


def _too_large(name: str, bytes_max: int) -> CompressionError:
    return CompressionError(f"{name} data would be more than {bytes_max} bytes when decompressed")


def _is_output_full(error: cramjam.DecompressionError) -> bool:
    # cramjam reports a too small output buffer only with this text.
    return "failed to write whole buffer" in str(error)


def _decompress_stream(codec: int, data: Buffer, bytes_max: int) -> bytes:
    name = COMPRESSION_NAMES[codec]
    decompress_into = {GZIP: cramjam.gzip, LZ4: cramjam.lz4, ZSTD: cramjam.zstd}[codec].decompress_into
    size_bytes = min(max(GUESS_BYTES_MIN, GROWTH * len(data)), bytes_max)
    while True:
        output = bytearray(size_bytes)
        try:
            return bytes(memoryview(output)[: decompress_into(data, output)])
        except cramjam.DecompressionError as error:
            if not _is_output_full(error):
                raise CompressionError(f"not {name} data: {error}") from None
        if size_bytes >= bytes_max:
            raise _too_large(name, bytes_max)
        size_bytes = min(size_bytes * GROWTH, bytes_max)


def _snappy_block(data: Buffer, bytes_max: int, used: int = 0) -> bytes:
    try:
        if used + cramjam.snappy.decompress_raw_len(data) > bytes_max:
            raise _too_large("snappy", bytes_max)
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise CompressionError(f"not snappy data: {error}") from None


def _decompress_snappy(data: Buffer, bytes_max: int) -> bytes:
    view = memoryview(data)
    if view[: len(XERIAL_MAGIC)] != XERIAL_MAGIC:
        return _snappy_block(view, bytes_max)
    position, end = len(XERIAL_HEADER), len(view)
    blocks: list[bytes] = []
    used = 0
    while position < end:
        if end - position < _INT32.size:
            raise CompressionError("not snappy data: the length of a block is cut short")
        (size_bytes,) = _INT32.unpack_from(view, position)
        position += _INT32.size
        if not 0 <= size_bytes <= end - position:
            raise CompressionError(f"not snappy data: a block of {size_bytes} bytes, with {end - position} left")
        block = _snappy_block(view[position : position + size_bytes], bytes_max, used)
        used += len(block)
        blocks.append(block)
        position += size_bytes
    return b"".join(blocks)


def decompress(codec: int, data: Buffer, bytes_max: int) -> bytes:
    """Decompress a batch's records section.

    Args:
        codec: 0 to 4, as in the batch's attributes.
        data: the section as received.
        bytes_max: the maximum size of the result, and of any buffer needed for it.

    Raises:
        CompressionError: the data doesn't have that compression, is truncated, or exceeds ``bytes_max``; or the
        compression is unknown.
    """
    if codec == NONE:
        if len(data) > bytes_max:
            raise _too_large("uncompressed", bytes_max)
        return bytes(data)
    if codec == SNAPPY:
        return _decompress_snappy(data, bytes_max)
    if codec not in (GZIP, LZ4, ZSTD):
        raise CompressionError(f"there is no compression {codec}")
    return _decompress_stream(codec, data, bytes_max)


def _compress_snappy(data: Buffer) -> bytes:
    view = memoryview(data)
    pieces = [XERIAL_HEADER]
    for start in range(0, len(view), XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + XERIAL_BLOCK_BYTES]))
        pieces += [_INT32.pack(len(block)), block]
    return b"".join(pieces)


def _compress_lz4(data: Buffer) -> bytes:
    compressor = cramjam.lz4.Compressor(level=LZ4_LEVEL, content_checksum=False, block_linked=False)
    compressor.compress(data)
    return bytes(compressor.finish())


def compress(codec: int, data: Buffer) -> bytes:
    """Compress a batch's records section.

    Args:
        codec: 0 to 4, as in the batch's attributes.
        data: the encoded records.

    Raises:
        CompressionError: the compression is unknown.
    """
    if codec == NONE:
        return bytes(data)
    if codec == GZIP:
        return bytes(cramjam.gzip.compress(data, level=GZIP_LEVEL))
    if codec == SNAPPY:
        return _compress_snappy(data)
    if codec == LZ4:
        return _compress_lz4(data)
    if codec == ZSTD:
        return bytes(cramjam.zstd.compress(data, level=ZSTD_LEVEL))
    raise CompressionError(f"there is no compression {codec}")
