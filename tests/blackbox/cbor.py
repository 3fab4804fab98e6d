"""The part of CBOR (RFC 8949) that RON uses: integers, bytes, texts, arrays, maps, simple values."""
import struct


def _head(major, argument):
    for short, code, form in ((24, argument, ">B"), (1 << 8, 24, ">BB"), (1 << 16, 25, ">BH"),
                              (1 << 32, 26, ">BI"), (1 << 64, 27, ">BQ")):
        if argument < short:
            return struct.pack(form, *((major << 5 | code, argument)[:len(form) - 1]))
    raise ValueError(argument)


def dumps(value):
    """One item, deterministic."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(dumps, value))
    pairs = sorted((dumps(key), dumps(item)) for key, item in value.items())
    return _head(5, len(pairs)) + b"".join(key + item for key, item in pairs)


def loads(data):
    """The one item that `data` holds."""
    value, at = _item(data, 0)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes follow")
    return value


def _item(data, at):
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        simple = {20: False, 21: True, 22: None}
        if low in simple:
            return simple[low], at
        size, form = {25: (2, ">e"), 26: (4, ">f"), 27: (8, ">d")}[low]
        return struct.unpack(form, data[at:at + size])[0], at + size
    if low >= 24:
        size = 1 << (low - 24)
        low = int.from_bytes(data[at:at + size], "big")
        at += size
    if major <= 1:
        return (low if major == 0 else -1 - low), at
    if major <= 3:
        raw = bytes(data[at:at + low])
        return (raw if major == 2 else raw.decode()), at + low
    if major == 4:
        items = []
        for _ in range(low):
            item, at = _item(data, at)
            items.append(item)
        return items, at
    assert major == 5, "tags are not used"
    out = {}
    for _ in range(low):
        key, at = _item(data, at)
        out[key], at = _item(data, at)
    return out, at
