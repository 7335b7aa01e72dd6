"""Compressions against other implementations, and bounded against decompression bombs."""

import gzip
import os
import struct
from collections.abc import Callable

import aiokafka.codec
import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.wire.records.compression import (
    COMPRESSION_NAMES,
    GZIP,
    LZ4,
    NONE,
    SNAPPY,
    XERIAL_HEADER,
    ZSTD,
    CompressionError,
    compress,
    decompress,
)

LIMIT = 1 << 20
CODECS = [pytest.param(number, id=name) for number, name in enumerate(COMPRESSION_NAMES)]
COMPRESSED = CODECS[1:]

TEXT = b"a line of text that repeats itself\n" * 3000
SAMPLES = [b"", b"a", TEXT, os.urandom(70_000)]

ENCODERS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip of the standard library": (GZIP, gzip.compress),
    "snappy of aiokafka": (SNAPPY, aiokafka.codec.snappy_encode),
    "bare snappy": (SNAPPY, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "lz4 of aiokafka": (LZ4, aiokafka.codec.lz4_encode),
    "lz4 with linked blocks": (LZ4, lambda data: bytes(cramjam.lz4.compress(data))),
    "zstd of aiokafka": (ZSTD, aiokafka.codec.zstd_encode),
}
DECODERS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip of the standard library": (GZIP, gzip.decompress),
    "snappy of aiokafka": (SNAPPY, aiokafka.codec.snappy_decode),
    "lz4 of aiokafka": (LZ4, aiokafka.codec.lz4_decode),
    "zstd of aiokafka": (ZSTD, aiokafka.codec.zstd_decode),
}


@pytest.mark.parametrize("codec", CODECS)
@settings(deadline=None, max_examples=50, database=None)
@given(data=st.one_of(st.binary(), st.binary(max_size=30).map(lambda piece: piece * 5000)))
def test_what_is_compressed_comes_back(codec: int, data: bytes) -> None:
    assert decompress(codec, compress(codec, data), LIMIT) == data


@pytest.mark.parametrize("name", ENCODERS)
def test_what_others_compressed_is_read(name: str) -> None:
    codec, encode = ENCODERS[name]
    for sample in SAMPLES:
        assert decompress(codec, memoryview(encode(sample)), LIMIT) == sample


@pytest.mark.parametrize("name", DECODERS)
def test_others_read_what_is_compressed(name: str) -> None:
    codec, decode = DECODERS[name]
    for sample in SAMPLES[1:]:
        assert bytes(decode(compress(codec, sample))) == sample


def test_lz4_blocks_are_independent_as_the_java_client_demands() -> None:
    flags = compress(LZ4, TEXT)[4]
    assert flags & 0x20, "block independence"
    assert flags >> 6 == 1, "version"


def test_snappy_is_framed_as_the_java_client_reads_it() -> None:
    assert compress(SNAPPY, TEXT).startswith(b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1))


@pytest.mark.parametrize("codec", CODECS)
def test_the_limit_is_exact(codec: int) -> None:
    data = compress(codec, TEXT)
    assert decompress(codec, data, len(TEXT)) == TEXT
    with pytest.raises(CompressionError, match=f"more than {len(TEXT) - 1} bytes"):
        decompress(codec, data, len(TEXT) - 1)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_bomb_is_refused(codec: int) -> None:
    bomb = compress(codec, bytes(32 * LIMIT))
    with pytest.raises(CompressionError, match="more than"):
        decompress(codec, bomb, LIMIT)


def test_a_snappy_block_that_claims_gigabytes_is_refused() -> None:
    claims_4_gb = b"\xff\xff\xff\xff\x0f"
    with pytest.raises(CompressionError, match="more than"):
        decompress(SNAPPY, claims_4_gb, LIMIT)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_data_cut_short_or_of_another_kind_is_refused(codec: int) -> None:
    whole = compress(codec, TEXT)
    for data in (whole[:-6], whole[: len(whole) // 2], b"\xf3" + b"not compressed at all", b""):
        with pytest.raises(CompressionError):
            decompress(codec, data, LIMIT)


@pytest.mark.parametrize("length", [-1, 5, 2**31 - 1])
def test_a_snappy_block_with_a_length_that_cannot_be_is_refused(length: int) -> None:
    with pytest.raises(CompressionError, match="a block of"):
        decompress(SNAPPY, XERIAL_HEADER + struct.pack(">i", length) + b"abc", LIMIT)


@pytest.mark.parametrize("codec", [-1, 5, 7])
def test_there_is_no_other_compression(codec: int) -> None:
    with pytest.raises(CompressionError):
        decompress(codec, b"", LIMIT)
    with pytest.raises(CompressionError):
        compress(codec, b"")


def test_none_is_the_bytes_themselves() -> None:
    assert decompress(NONE, memoryview(TEXT), LIMIT) == TEXT == compress(NONE, TEXT)
