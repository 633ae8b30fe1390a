"""Sealing against RFC 8439's vectors, and Python against the C++ that opens what it sealed."""

from __future__ import annotations

import ctypes
import itertools
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mconv.backends.cpp import chacha, protect
from mconv.ir.errors import UsageError

KERNELS = Path(protect.__file__).with_name("kernels")
COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]
FLAGS = {"sse2": [], "avx2": ["-mavx2", "-mfma"], "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]}
KEY = bytes.fromhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")
SUNSCREEN = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."  # noqa: E501
BUILD = protect.Build(bytes(range(32)))

SOURCE = """
#include <cstddef>
#include <cstring>
namespace {
#include "%s/aead.h"
}
extern "C" {
typedef unsigned char byte;
int open(const byte* s, size_t n, byte* o, const byte* k) { return open_weights(s, n, o, k); }
int check(const byte* s, size_t n, const byte* k) { return check_weights(s, n, k); }
void stream(const byte* k, unsigned c, const byte* n, const byte* i, byte* o, size_t size) {
    chacha20(k, c, n, i, o, size);
}
void tag(const byte* k, const byte* p, size_t n, byte* t) {
    Poly1305 poly(k);
    poly.padded(p, n);
    poly.finish(t);
}
void clear(byte* p, size_t n) { wipe(p, n); }
}
"""


def supported(isa: str) -> bool:
    wanted = {"sse2": "sse2", "avx2": "avx2", "avx512": "avx512dq"}[isa]
    info = Path("/proc/cpuinfo")
    return info.exists() and wanted in info.read_text()


def compiled(folder: Path, source: str, compiler: str, *flags: str) -> ctypes.CDLL:
    cpp, library = folder / "code.cpp", folder / "code.so"
    cpp.write_text(source)
    common = ["-std=c++17", "-O3", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared"]
    # what is not called in this file is called in generated code
    quiet = "-Wno-unused-function"
    subprocess.run([compiler, *common, quiet, *flags, str(cpp), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module", params=itertools.product(COMPILERS, FLAGS), ids="-".join)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler, isa = request.param
    if not supported(isa):
        pytest.skip(f"this machine has no {isa}")
    return compiled(tmp_path_factory.mktemp("aead"), SOURCE % KERNELS, compiler, *FLAGS[isa])


def sealed(blob: bytes, key: bytes = KEY, build: protect.Build = BUILD) -> bytes:
    return b"".join(protect.seal([blob], key, build))


def opened(library: ctypes.CDLL, content: bytes, key: bytes = KEY) -> bytes | int:
    """What the C++ opens, or its error number; nothing is written then."""
    size = max(len(content) - protect.OVERHEAD, 0)
    out = ctypes.create_string_buffer(b"\xa5" * size, size + 1)
    error = library.open(content, ctypes.c_size_t(len(content)), out, key)
    assert library.check(content, ctypes.c_size_t(len(content)), key) == error
    if error:
        assert out.raw[:size] == b"\xa5" * size
        return int(error)
    assert out.raw[size] == 0
    return out.raw[:size]


def test_rfc_8439_keystream_2_3_2() -> None:
    block = chacha.keystream(bytes(range(32)), bytes.fromhex("000000090000004a00000000"), 1, 1)
    assert block.tobytes().hex().startswith("10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e")


def test_rfc_8439_poly1305_2_5_2() -> None:
    poly = chacha.Poly1305(bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"))
    # `update` pads a part block with zeros, as the AEAD wants it; the standard's tag has a one after the bytes
    text = b"Cryptographic Forum Research Group"
    poly.update(text[:32])
    poly._sum = (poly._sum + int.from_bytes(text[32:] + b"\x01", "little")) * poly._r % chacha._PRIME
    assert poly.tag().hex() == "a8061dc1305136c6c22b8baf0c0127a9"


def test_rfc_8439_aead_2_8_2() -> None:
    nonce, extra = bytes.fromhex("070000004041424344454647"), bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    made = b"".join(chacha.sealed([SUNSCREEN], KEY, nonce, extra))
    assert made[:32].hex() == "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
    assert made[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


def test_poly1305_of_many_lanes_is_that_of_single_blocks() -> None:
    data = np.random.default_rng(1).bytes(16 * chacha._LANES * 3 + 100)
    whole, parts = chacha.Poly1305(KEY), chacha.Poly1305(KEY)
    whole.update(data)
    for at in range(0, len(data), 4096):
        parts.update(data[at : at + 4096])
    ones = chacha.Poly1305(b"\xff" * 32)
    ones.update(b"\xff" * (16 * chacha._LANES * 2))
    expected = 0
    for _ in range(chacha._LANES * 2):
        expected = (expected + (1 << 129) - 1) * chacha._CLAMP % chacha._PRIME
    assert whole.tag() == parts.tag()
    assert ones._sum == expected


def test_cpp_keystream_is_rfc_8439_2_4_2(library: ctypes.CDLL) -> None:
    out = ctypes.create_string_buffer(len(SUNSCREEN))
    nonce = bytes.fromhex("000000000000004a00000000")
    library.stream(bytes(range(32)), 1, nonce, SUNSCREEN, out, ctypes.c_size_t(len(SUNSCREEN)))
    assert out.raw[:32].hex() == "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
    assert out.raw[-2:].hex() == "874d"


@pytest.mark.parametrize(
    ("r", "pad", "text", "expected"),
    [  # RFC 8439, appendix A.3: sums at the edge of the modulus
        ("02", "", "ff" * 16, "03" + "00" * 15),
        ("02", "ff" * 16, "02" + "00" * 15, "03" + "00" * 15),
        ("01", "", "ff" * 16 + "f0" + "ff" * 15 + "11" + "00" * 15, "05" + "00" * 15),
        ("01", "", "ff" * 16 + "fb" + "fe" * 15 + "01" * 16, "00" * 16),
        ("02", "", "fd" + "ff" * 15, "fa" + "ff" * 15),
        ("01" + "00" * 7 + "04", "", "e33594d7505e43b9" + "00" * 8 + "33941f7c4eb9e8e4" + "00" * 8 + "00" * 16
         + "01" + "00" * 15, None),
    ],
)  # fmt: skip
def test_poly1305_at_the_edges(library: ctypes.CDLL, r: str, pad: str, text: str, expected: str | None) -> None:
    key = bytes.fromhex(r).ljust(16, b"\0") + bytes.fromhex(pad).ljust(16, b"\0")
    message = bytes.fromhex(text)
    tag = ctypes.create_string_buffer(16)
    library.tag(key, message, ctypes.c_size_t(len(message)), tag)
    ours = chacha.Poly1305(key)
    ours.update(message)
    assert tag.raw == ours.tag()
    assert expected is None or tag.raw.hex() == expected


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 4099, (1 << 20) + 77])
def test_cpp_opens_what_python_sealed(library: ctypes.CDLL, size: int) -> None:
    blob = np.random.default_rng(size).bytes(size)
    assert opened(library, sealed(blob)) == blob


def test_python_and_cpp_encrypt_alike(library: ctypes.CDLL) -> None:
    blob = np.random.default_rng(3).bytes(70001)
    content = sealed(blob)
    out = ctypes.create_string_buffer(len(blob))
    library.stream(KEY, 1, content[:12], blob, out, ctypes.c_size_t(len(blob)))
    assert out.raw == content[protect.HEAD : -16]


def test_every_changed_byte_is_refused(library: ctypes.CDLL) -> None:
    content = sealed(np.random.default_rng(5).bytes(200))
    for place in range(len(content)):
        for bit in (0, 7):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            assert opened(library, bytes(changed)) == 2


def test_another_key_is_refused(library: ctypes.CDLL) -> None:
    assert opened(library, sealed(b"weights" * 100), bytes(reversed(KEY))) == 2


def test_another_length_is_refused(library: ctypes.CDLL) -> None:
    content = sealed(np.random.default_rng(5).bytes(200))
    for size in range(len(content)):
        assert opened(library, content[:size]) == (1 if size < protect.OVERHEAD else 2)
    assert opened(library, content + b"\0") == 2


def test_swapped_and_repeated_parts_are_refused(library: ctypes.CDLL) -> None:
    content = sealed(np.random.default_rng(5).bytes(4096))
    head, a, b, rest = content[:32], content[32:1056], content[1056:2080], content[2080:]
    assert opened(library, head + b + a + rest) == 2
    assert opened(library, head + a + a + rest) == 2
    other = sealed(np.random.default_rng(6).bytes(4096), build=protect.Build(KEY))
    assert opened(library, content[:32] + other[32:]) == 2
    assert opened(library, content[:12] + other[12:32] + content[32:]) == 2


def test_wiping_leaves_zeros_and_nothing_else_changes(library: ctypes.CDLL) -> None:
    for begin, size in itertools.product((0, 1, 7), (0, 1, 8, 63)):
        data = (ctypes.c_ubyte * 80)(*([255] * 80))
        library.clear(ctypes.byref(data, begin), ctypes.c_size_t(size))
        assert bytes(data) == b"\xff" * begin + bytes(size) + b"\xff" * (80 - begin - size)


def test_sealing_is_reproducible_and_nonces_follow_content_key_and_build() -> None:
    blob = bytes(1000)
    assert sealed(blob) == sealed(blob)
    assert b"".join(protect.seal([blob[:300], b"", blob[300:]], KEY, BUILD)) == sealed(blob)
    other = [sealed(blob[:-1] + b"\1"), sealed(blob, bytes(reversed(KEY))), sealed(blob, build=protect.Build(KEY))]
    assert len({content[:12] for content in [sealed(blob), *other]}) == 4


def test_sealed_weights_look_random() -> None:
    content = np.frombuffer(sealed(bytes(1 << 20)), np.uint8)
    counts = np.bincount(content, minlength=256) / len(content)
    assert -(counts * np.log2(counts)).sum() > 7.999


def test_a_build_without_a_seed_follows_from_the_content() -> None:
    assert protect.build_from(None, [b"ab", b"c"]) == protect.build_from(None, [b"abc"])
    builds = [protect.build_from(seed, [b"abc"]) for seed in (None, "", "customer 1", "customer 2")]
    builds.append(protect.build_from("customer 1", [b"abd"]))
    assert len({build.trace for build in builds}) == 5


@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 1000])
def test_permutations_hold_each_index_once(n: int) -> None:
    order = protect.permutation(BUILD, "blob", n)
    assert sorted(order.tolist()) == list(range(n))
    if n > 50:
        others = [protect.permutation(BUILD, "other", n), protect.permutation(protect.Build(KEY), "blob", n)]
        assert all((order == other).mean() < 0.2 for other in others)


def test_small_permutations_are_all_met_equally_often() -> None:
    met: dict[tuple[int, ...], int] = {}
    for i in range(3000):
        order = tuple(protect.permutation(BUILD, str(i), 3).tolist())
        met[order] = met.get(order, 0) + 1
    assert len(met) == math.factorial(3)
    assert all(420 < count < 580 for count in met.values())  # 500 each, 4 standard deviations


@pytest.mark.parametrize("build", [None, BUILD])
def test_placed_arrays_are_found_at_their_offsets(build: protect.Build | None) -> None:
    arrays = [np.random.default_rng(i).bytes(size) for i, size in enumerate((64, 4, 1, 0, 130, 4096))]
    placement = protect.place([len(a) for a in arrays], build)
    blob = b"".join(protect.laid_out(arrays, placement, build))
    assert len(blob) == placement.size
    for array, offset in zip(arrays, placement.offsets, strict=True):
        assert offset % 64 == 0
        assert blob[offset : offset + len(array)] == array
    if build is not None:
        assert list(placement.offsets) != sorted(placement.offsets)
        assert all(build.mark(i, 16) in blob for i in range(len(placement.gaps)))
        floats = np.frombuffer(build.mark(0, 4000), "<f4")
        assert np.all((np.abs(floats) >= 2.0**-9) & (np.abs(floats) < 2.0**-3))


def test_keys_are_read_as_bytes_and_as_digits(tmp_path: Path) -> None:
    raw, text, bad = tmp_path / "raw", tmp_path / "text", tmp_path / "bad"
    raw.write_bytes(KEY)
    text.write_text(KEY.hex() + "\n")
    assert protect.read_key(raw) == protect.read_key(text) == KEY
    for content in (b"", KEY[:31], KEY + b"\n", b"x" * 64, bytes(32), b"0" * 64):
        bad.write_bytes(content)
        with pytest.raises(UsageError, match="MC127"):
            protect.read_key(bad)
    with pytest.raises(UsageError, match="MC127"):
        protect.read_key(tmp_path / "none")
    assert len(protect.new_key()) == 32


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("seed", range(3))
def test_an_embedded_key_comes_out_and_stands_nowhere(compiler: str, seed: int, tmp_path: Path) -> None:
    key = np.random.default_rng(seed).bytes(32)
    source = protect.embedded_key_source(key, BUILD) + 'extern "C" void key(unsigned char* k) { embedded_key(k); }\n'
    library = compiled(tmp_path, SOURCE % KERNELS + source, compiler)
    out = ctypes.create_string_buffer(32)
    library.key(out)
    assert out.raw == key
    binary = (tmp_path / "code.so").read_bytes()
    assert not any(key[at : at + 4] in binary for at in range(0, 32, 4))
