"""Files made byte by byte, valid ones and hostile ones, and mutations of any file. Standard library alone."""
import io
import json
import struct
import zipfile
import zlib


def safetensors(tensors, metadata=None, extra_header=""):
    """tensors: name -> (dtype, shape, bytes). extra_header is put raw into the header, before its last brace."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = (json.dumps(header)[:-1] + extra_header + "}").encode()
    return struct.pack("<Q", len(text)) + text + data


def header_of(file):
    """The header of a safetensors file, and its data."""
    (length,) = struct.unpack_from("<Q", file)
    return json.loads(file[8:8 + length]), file[8 + length:]


def with_header(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def chunk(kind, data, crc=None):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


def png(width=4, height=4, text=(), chunks=(), depth=8, colour=2, rows=None):
    """text: (keyword, text) as tEXt; chunks: raw ones, put before the pixels."""
    if rows is None:
        rows = zlib.compress((b"\0" + bytes(width * 3)) * height)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    for keyword, value in text:
        out += chunk(b"tEXt", keyword + b"\0" + value)
    return out + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text_of_png(file, keyword):
    """What a tEXt or iTXt chunk says, and the file's bytes before and after that chunk."""
    at = 8
    while at < len(file):
        (length,) = struct.unpack_from(">I", file, at)
        kind, data = file[at + 4:at + 8], file[at + 8:at + 8 + length]
        if kind in (b"tEXt", b"iTXt") and data.split(b"\0")[0] == keyword:
            skip = len(keyword) + (1 if kind == b"tEXt" else 5)
            return data[skip:], file[:at], file[at + 12 + length:]
        at += 12 + length
    raise KeyError(keyword)


def npy(descr="<f4", shape=(2, 3), data=None, header=None):
    text = header or f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.encode() + b" " * (-(len(text) + 11) % 64) + b"\n"
    if data is None:
        data = bytes(24)
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + data


def archive(entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in entries:
            file.writestr(name, content)
    return out.getvalue()


def torch_zip(pickle, storages=(), prefix="archive"):
    """What torch.save writes, around any pickle."""
    entries = [(f"{prefix}/data.pkl", pickle), (f"{prefix}/version", b"3\n")]
    return archive(entries + [(f"{prefix}/data/{key}", content) for key, content in storages])


def mutated(file, random, reach=None):
    """The file with one to four changes in its first or last `reach` bytes (default: anywhere): bits, bytes, numbers that
    are extreme, spans that are cut, doubled or foreign; one in six is cut off instead."""
    out = bytearray(file)
    if random.random() < 1 / 6:
        return bytes(out[:random.randrange(len(out))])
    for _ in range(random.randint(1, 4)):
        size = len(out)
        if size == 0:
            break
        at = random.randrange(min(size, reach or size))
        if reach and random.random() < 0.3:
            at = size - 1 - at
        kind = random.randrange(6)
        if kind == 0:
            out[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            out[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, 0x1B, ord('"'), ord("9"), ord("-"), ord("{")))
        elif kind == 2:
            width = random.choice((2, 4, 8))
            value = random.choice((0, 1, (1 << 8 * width - 1) - 1, 1 << 8 * width - 1, (1 << 8 * width) - 1))
            out[at:at + width] = value.to_bytes(width, random.choice(("little", "big")))
        elif kind == 3:
            del out[at:at + random.randint(1, 16)]
        elif kind == 4:
            out[at:at] = out[at:at + random.randint(1, 64)]
        else:
            out[at:at] = random.randbytes(random.randint(1, 16))
    return bytes(out)


# What a field of a JSON text can hold that its reader did not think of.
ABSURD = (None, True, -1, 0, 1, 2**31, 2**63, -2**63, 2**64, 1e300, -0.5, "", "x", "\u001b[31m", "\u202e", [], {}, [[]],
          "9" * 300, [0] * 1000, {"a": {"b": 1}})


def absurd(value, random):
    """A JSON value with one thing in it changed: a field that is absurd, missing, new, or a long list."""
    value = json.loads(json.dumps(value))
    places = []

    def walk(here):
        for key in here.keys() if isinstance(here, dict) else range(len(here)):
            places.append((here, key))
            if isinstance(here[key], (dict, list)):
                walk(here[key])

    walk(value)
    if not places:
        return value
    here, key = random.choice(places)
    kind = random.random()
    if kind < 0.75:
        here[key] = random.choice(ABSURD)
    elif kind < 0.9:
        del here[key]
    elif isinstance(here, dict):
        here[str(key) + random.choice(("_", "\n", "\u001b]0;x\u0007", ""))] = random.choice(ABSURD)
    else:
        here.extend(here * 100)
    return value
