"""What is tried: hostile files of every kind that the program reads, mutations of good ones, and values that make no sense.

A case is (command, files, expected exit codes). In a command, {OUT} is a folder that must stay empty when the command fails,
{IN} the folder with the case's files, and {TINY} one with what set_up made: model.safetensors, image.png, set/, run/."""
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import types
import zipfile
import zlib
from dataclasses import dataclass, field

import files as make

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
GOOD, BAD_FILE, USAGE = 0, 3, 2
EITHER = {GOOD, BAD_FILE}  # a mutation may be harmless


@dataclass
class Case:
    kind: str
    name: str
    command: list
    files: dict = field(default_factory=dict)  # path below {IN} -> bytes
    expected: set = field(default_factory=lambda: {BAD_FILE})
    beside: int = 0  # bytes of further files that the command reads


def set_up(run, tiny):
    """Makes the good files that others are mutations of; run(command...) runs the program in the folder `tiny`."""
    run("train", "--preset", "tiny", "--images", "64", "--out", "run")
    run("sample", "--model", "run/model.safetensors", "--class", "0", "--steps", "1", "--out", "drawn")
    run("sample", "--model", "run/model.safetensors", "--count", "2", "--steps", "1", "--set", "set")
    os.rename(tiny / "run/model.safetensors", tiny / "model.safetensors")
    os.rename(next((tiny / "drawn").iterdir()), tiny / "image.png")


DRAW = ["--steps", "1", "--class", "0", "--out", "{OUT}"]


def reading(model):
    """The commands that read a model file."""
    return {
        "info": ["info", model],
        "convert": ["convert", model, "{OUT}/converted.safetensors"],
        "sample": ["sample", "--model", model, *DRAW],
        "train": ["train", "--preset", "tiny", "--images", "8", "--start-from", model, "--out", "{OUT}/run"],
    }


def safetensors_cases(tiny, random, share):
    good = (tiny / "model.safetensors").read_bytes()
    header, data = make.header_of(good)
    empty = ("F32", [0], b"")
    many = {f"tensor.{i}": empty for i in range(40_000)}
    ours = header["__metadata__"]
    long = '"a":[' + "[" * 100_000 + "]" * 100_000 + "]"
    some = next(name for name in header if name != "__metadata__")

    def changed(**what):
        return make.with_header(header | {some: header[some] | what}, data)

    crafted = {
        "40,000 empty tensors": make.safetensors(many),
        "40,000 empty tensors of ours": make.safetensors(many, ours),
        "a header as long as 2^63": struct.pack("<Q", 2**63) + good[8:],
        "a header longer than the file": struct.pack("<Q", len(good)) + good[8:],
        "deep nesting": make.with_header(("{" + long + "}").encode(), b""),
        "a tensor twice": make.safetensors({"a": ("F32", [1], bytes(4))}, extra_header=',"a":{}'),
        "offsets beyond the file": changed(data_offsets=[0, 2**40]),
        "offsets that overlap": changed(data_offsets=[0, 8]),
        "negative offsets": changed(data_offsets=[-8, 0]),
        "a shape whose product overflows": changed(shape=[2**32, 2**32, 2]),
        "a negative side": changed(shape=[-1, -1]),
        "a dtype of nobody": changed(dtype="F99"),
        "a million sides": changed(shape=[1] * 1_000_000),
        "no JSON": make.with_header(b"hello", data),
        "no UTF-8": make.with_header(b'{"\xff\xfe":{}}', data),
        "metadata that is no text": make.with_header(header | {"__metadata__": {"switchyard": 5}}, data),
        "our metadata, no tensors": make.safetensors({}, ours),
        "a stranger among the tensors": make.with_header(
            header | {"stranger\n\x1b[31m": header[some]}, data),
        "NaN": make.with_header(header, struct.pack("<f", float("nan")) * (len(data) // 4)),
    }
    for name, content in crafted.items():
        for command in ("info", "convert", "sample"):
            if name == "NaN" and command != "sample":
                continue  # a copy of NaN is no fault
            yield Case("safetensors", f"{name}: {command}", reading("{IN}/m.safetensors")[command],
                       {"m.safetensors": content})
    commands = list(reading("{IN}/m.safetensors").items())
    for i in range(share):
        command, words = commands[i % len(commands)]
        yield Case("safetensors", f"mutation {i}: {command}", words,
                   {"m.safetensors": make.mutated(good, random, 4096)}, EITHER)


def config_cases(tiny, random, share):
    header, data = make.header_of((tiny / "model.safetensors").read_bytes())
    ours = json.loads(header["__metadata__"]["switchyard"])
    commands = list(reading("{IN}/m.safetensors").items())
    for i in range(share):
        metadata = {"format": "pt", "switchyard": json.dumps(make.absurd(ours, random))}
        command, words = commands[i % len(commands)]
        yield Case("configuration", f"absurd {i}: {command}", words,
                   {"m.safetensors": make.with_header(header | {"__metadata__": metadata}, data)}, EITHER)


def hostile_pickles():
    """Programs for the pickle machine that no reader of numbers should run, or run for long."""
    proto = b"\x80\x02"
    call = b"cos\nsystem\nX\x04\0\0\0true\x85R."
    yield "os.system", proto + call
    yield "builtins.eval", proto + b"cbuiltins\neval\nX\x01\0\0\0" + b"1\x85R."
    yield "os.system by STACK_GLOBAL", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."
    yield "nested lists", proto + b"]" * 100_000 + b"a" * 99_999 + b"."
    yield "a string of 4 GB", proto + b"X\xff\xff\xff\xff."
    yield "bytes of 2^63", b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b"."
    yield "memo of 2^32", proto + b"Nr\xff\xff\xff\xff."
    yield "doubling tuples", proto + b"N" + b"2\x86" * 100_000 + b"."
    yield "no STOP", proto + b"N"
    yield "an empty stack", proto + b"."
    yield "marks without end", proto + b"(" * 1_000_000 + b"."
    yield "a persistent id of nobody", proto + b"X\x05\0\0\0helloQ."
    yield "a dictionary with itself", proto + b"}q\0X\x01\0\0\0ah\0s."
    yield "a number of a million digits", proto + b"L" + b"9" * 1_000_000 + b"L\n."


def fake_torch():
    """Modules under torch's names, so that pickle writes what torch.save would."""
    names = {"torch": ["FloatStorage"], "torch._utils": ["_rebuild_tensor_v2"]}
    for module, members in names.items():
        fake = types.ModuleType(module)
        for member in members:
            made = type(member, (), {"__module__": module}) if member[0].isupper() else types.FunctionType(
                (lambda *_: None).__code__, {"__name__": module}, member)
            made.__module__, made.__qualname__ = module, member
            setattr(fake, member, made)
        sys.modules[module] = fake
    return sys.modules["torch"], sys.modules["torch._utils"]


class Storage:
    def __init__(self, key, count):
        self.key, self.count = key, count


def torch_pickle(tensors):
    """A state dict as torch.save pickles it; tensors: name -> (storage key, numbers in it, offset, size, stride)."""
    torch, utils = fake_torch()

    class Tensor:
        def __init__(self, what):
            self.what = what

        def __reduce__(self):
            key, count, offset, size, stride = self.what
            return utils._rebuild_tensor_v2, (Storage(key, count), offset, size, stride, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return ("storage", torch.FloatStorage, thing.key, "cpu", thing.count) if isinstance(thing, Storage) else None

    out = io.BytesIO()
    Pickler(out, 2).dump({name: Tensor(what) for name, what in tensors.items()})
    return out.getvalue()


def torch_cases(tiny, random, share):
    for name, program in hostile_pickles():
        for form, content in (("zip", make.torch_zip(program)), ("bare", program)):
            yield Case("torch", f"{name}, {form}", ["info", "{IN}/m.pt"], {"m.pt": content})
    hostile = {
        "a storage larger than its file": {"a": ("0", 2**40, 0, (2**40,), (1,))},
        "a view beyond its storage": {"a": ("0", 4, 3, (4,), (1,))},
        "a view before its storage": {"a": ("0", 4, -1, (4,), (1,))},
        "negative strides": {"a": ("0", 4, 3, (4,), (-1,))},
        "a shape whose product overflows": {"a": ("0", 4, 0, (2**32, 2**32), (0, 0))},
        "a terabyte by stride 0": {"x_embedder.proj.weight": ("0", 4, 0, (2**38,), (0,))},
        "a storage of no file": {"a": ("7", 4, 0, (4,), (1,))},
        "a storage outside the archive": {"a": ("../../0", 4, 0, (4,), (1,))},
        "a name with an escape": {"\x1b]0;owned\x07": ("0", 4, 0, (4,), (1,))},
    }
    for name, tensors in hostile.items():
        content = make.torch_zip(torch_pickle(tensors), [("0", bytes(16))])
        for command in ("info", "convert"):
            yield Case("torch", f"{name}: {command}", reading("{IN}/m.pt")[command], {"m.pt": content})
    good = [(FIXTURES / "checkpoints" / name).read_bytes()
            for name in ("views.pt", "bare_bf16.pt", "bare_ordered_dict.pt", "train_legacy.pt")]
    for i in range(share):
        file = good[i % len(good)]
        command = ("info", "convert")[i // len(good) % 2]
        yield Case("torch", f"mutation {i}: {command}", reading("{IN}/m.pt")[command] + ["--heads", "4"],
                   {"m.pt": make.mutated(file, random, 6000)}, EITHER)


def png_cases(tiny, random, share):
    good = (tiny / "image.png").read_bytes()
    text, before, after = make.text_of_png(good, b"switchyard")
    long = zlib.compress(b'{"a":[' + b"0," * 4_000_000 + b"0]}")
    redraw = ["sample", "--model", "{TINY}/model.safetensors", "--from", "{IN}/i.png", "--out", "{OUT}"]

    def ours(value):
        return before + make.chunk(b"tEXt", b"switchyard\0" + value) + after

    def with_settings(**values):
        whole = json.loads(text)
        return json.dumps(whole | {"settings": whole["settings"] | values}).encode()

    crafted = {
        "a text that claims 2 GiB": make.png(text=[(b"switchyard", b"{}")]).replace(
            struct.pack(">I", len(b"switchyard\0{}")), struct.pack(">I", 2**31 - 1), 1),
        "compressed text of 8 MB": make.png(chunks=[make.chunk(b"zTXt", b"switchyard\0\0" + long)]),
        "200 compressed texts": make.png(chunks=[make.chunk(b"zTXt", b"k%d\0\0" % i + long) for i in range(200)]),
        "100,000 texts": make.png(chunks=[make.chunk(b"tEXt", b"k%d\0v" % i) for i in range(100_000)]),
        "sides of 2^31": make.png(2**31 - 1, 2**31 - 1, rows=zlib.compress(b"\0")),
        "side 0": make.png(0, 4, rows=zlib.compress(b"")),
        "32,768 x 32,768 in 30 bytes": make.png(32768, 32768, rows=zlib.compress(b"\0" * 1000)),
        "pixels that never end": make.png(rows=zlib.compress(b"\0" * 100_000_000)),
        "no text of ours": make.png(),
        "wrong crc": good[:20] + b"\xff" + good[21:],
        "text that is no JSON": ours(b"hello"),
        "text that is a list": ours(b"[]"),
        "text of 100,000 levels": ours(b"[" * 100_000),
        "a million keys": ours(b"{" + b",".join(b'"%d":0' % i for i in range(1_000_001)) + b"}"),
        "escapes in the model's name": ours(text.replace(b'"model"', b'"\x1b[31m\\u001b]0;x\\u0007"', 1)),
        "0 steps": ours(with_settings(steps=0)),
        "a guidance of 1e308": ours(with_settings(guidance={"scale": 1e308})),
    }
    for name, content in crafted.items():
        yield Case("png", name, redraw, {"i.png": content})
    settings = json.loads(text)
    for i in range(share // 2):
        yield Case("png", f"absurd {i}", redraw, {"i.png": ours(json.dumps(make.absurd(settings, random)).encode())}, EITHER)
    for i in range(share - share // 2):
        yield Case("png", f"mutation {i}", redraw, {"i.png": make.mutated(good, random)}, EITHER)


def image_cases(tiny, random, share):
    """Folders, archives and arrays of images, as `evaluate` reads them."""
    networks = pathlib.Path(os.environ["SWITCHYARD_NETWORKS"]).resolve()
    network = sum(file.stat().st_size for file in networks.glob("efficientnet-lite0*"))

    def case(name, path, file, content, expected):
        command = ["evaluate", "{IN}/" + path, "--save-reference", "{OUT}/statistics.npz"]
        return Case("images", name, command, {file: content}, expected, network)

    crafted = {
        "i.npz": [("an entry outside", make.archive([("../arr_0.npy", make.npy("|u1", (1, 4, 4, 3), bytes(48)))])),
                  ("an array of 2^60", make.archive([("arr_0.npy", make.npy("|u1", (2**20, 2**20, 2**20, 3)))])),
                  ("objects", make.archive([("arr_0.npy", make.npy("|O", (1,)))])),
                  ("a header that is code", make.archive([("arr_0.npy", make.npy(header="__import__('os').abort()"))])),
                  ("floats", make.archive([("arr_0.npy", make.npy("<f4", (1, 4, 4, 3), bytes(192)))])),
                  ("a bomb", make.archive([("arr_0.npy", make.npy("|u1", (10000, 100, 100, 3), bytes(300_000_000)))],
                                          zipfile.ZIP_DEFLATED)[:-200]),
                  ("no arrays", make.archive([]))],
        "i.npy": [("a negative side", make.npy("|u1", "(-1, 4, 4, 3)")), ("cut", make.npy()[:20]),
                  ("dimensions without end", make.npy(header="{'descr': '|u1', 'fortran_order': False, 'shape': ("
                                                      + "1," * 20_000 + ")}"))],
        "i.gz": [("no gzip", b"\x1f\x8b" + bytes(20)), ("an IDX of 2^96", b"\0\0\x08\x03" + b"\xff" * 12)],
        "i.zip": [("no images", make.archive([("readme.txt", b"hello")])),
                  ("a broken image", make.archive([("a/i.png", make.png()[:30])])),
                  ("names with escapes", make.archive([("\x1b[31m\n.png", b"no")])),
                  ("a name outside", make.archive([("../../i.png", b"no")]))],
    }
    for path, contents in crafted.items():
        for name, content in contents:
            yield case(f"{name} ({path})", path, path, content, {BAD_FILE})
    small = [(file.name, file.read_bytes()) for file in sorted((FIXTURES / "images/files").iterdir())
             if not file.name.startswith("broken")]
    arrays = [(file.name, file.read_bytes()) for file in sorted((FIXTURES / "metrics/npz").iterdir())
              if file.name.startswith("adm_")]
    for i in range(share):
        name, content = (arrays if i % 4 == 3 else small)[i // 4 % (len(arrays) if i % 4 == 3 else len(small))]
        changed = make.mutated(content, random, 1000)
        path = name if i % 4 == 3 else "folder/" + name
        yield case(f"mutation {i} of {name}", path.split("/")[0], path, changed, EITHER)


def decoder_cases(tiny, random, share):
    folder = FIXTURES / "vae/current"
    config = json.loads((folder / "config.json").read_text())
    weights = (folder / "diffusion_pytorch_model.safetensors").read_bytes()
    model = (FIXTURES / "switch_dit/dmoe_3e2a.weights.safetensors").read_bytes()
    draw = ["sample", "--model", "{IN}/m.safetensors", "--heads", "4", "--vae", "{IN}/vae", "--steps", "1",
            "--class", "0", "--out", "{OUT}"]

    def case(name, text, tensors, expected):
        return Case("decoder", name, draw, {"m.safetensors": model, "vae/config.json": text,
                                            "vae/diffusion_pytorch_model.safetensors": tensors}, expected)

    yield case("a configuration of 1 MB", json.dumps(config | {"x": [{} for _ in range(250_000)]}).encode(), weights, EITHER)
    yield case("no configuration", b"", weights, {BAD_FILE})
    yield case("levels without end", b"[" * 1_000_000, weights, {BAD_FILE})
    yield case("no tensors", json.dumps(config).encode(), make.safetensors({}), {BAD_FILE})
    for i in range(share):
        if i % 2:
            yield case(f"mutation {i}", json.dumps(config).encode(), make.mutated(weights, random, 4000), EITHER)
        else:
            yield case(f"absurd {i}", json.dumps(make.absurd(config, random)).encode(), weights, EITHER)


def text_cases(tiny, random, share):
    """Recipes, lists and descriptions of sets."""
    edits = [{"layers": [0], "t": [0.5, 1], "experts": [1], "action": "mute", "half": "both", "router": "tokens",
              "region": {"rectangle": [0, 0, 2, 2]}}]
    rows = ["class,seed,guidance,steps", "0,1,1.5,1", "1,2,1,1"]
    described = json.loads((tiny / "set/set.json").read_text())
    entries = (tiny / "set/images.jsonl").read_bytes()
    drawing = ["sample", "--model", "{TINY}/model.safetensors"]
    for i in range(share):
        if i % 3 == 0:
            content = json.dumps(make.absurd(edits, random)).encode()
            yield Case("texts", f"recipe {i}", drawing + DRAW + ["--edit", "{IN}/r.json"], {"r.json": content}, EITHER)
        elif i % 3 == 1:
            content = make.mutated("\n".join(rows).encode(), random)
            yield Case("texts", f"list {i}", drawing + ["--list", "{IN}/l.csv", "--npz", "{OUT}/s.npz"], {"l.csv": content},
                       EITHER)
        else:
            whole = random.random() < 0.5
            content = json.dumps(make.absurd(described, random)).encode()
            yield Case("texts", f"set {i}", ["merge", "{IN}/set", "--npz", "{OUT}/s.npz"],
                       {"set/set.json": content, "set/images.jsonl": entries if whole else make.mutated(entries, random)})


def run_cases(tiny, random, share):
    """Folders of trainings that go on."""
    checkpoint = (tiny / "run/checkpoint.safetensors").read_bytes()
    header, data = make.header_of(checkpoint)
    log = (tiny / "run/log.csv").read_bytes()
    go_on = ["train", "--preset", "tiny", "--images", "64", "--out", "{IN}/run"]
    for i in range(share):
        if i % 3 == 2:
            metadata = make.absurd(header["__metadata__"], random)
            content = make.with_header(header | {"__metadata__": metadata}, data)
        else:
            content = make.mutated(checkpoint, random, 4096 if i % 3 else None)
        yield Case("training", f"checkpoint {i}", go_on, {"run/checkpoint.safetensors": content, "run/log.csv": log}, EITHER)


def value_cases(tiny, random, share):
    """Options with values that make no sense; every one is a mistake of the person who types."""
    absurd = ["", " ", "x", "-1", "1e999", "nan", "inf", "-inf", "0x10", "1,", "1;2", "99999999999999999999", "4294967297",
              "1.5.2", "\x1b[31m", "\u202e", "\n"]
    numbers = {"sample": ["--count", "--seed", "--steps", "--shift", "--guidance", "--batch", "--zoom", "--columns",
                          "--guidance-channels", "--weak-experts", "--clip"],
               "train": ["--images", "--batch-size", "--seed", "--learning-rate", "--ema-decay", "--images-per-sheet"],
               "dataset": ["--size", "--per-class", "--zoom", "--first"],
               "evaluate": ["--count", "--seed", "--reference-count", "--batch"]}
    names = {"sample": ["--solver", "--dtype", "--device", "--quality", "--class", "--balance", "--shard", "--quantization"],
             "train": ["--preset", "--device"], "dataset": ["--split"], "evaluate": ["--balance", "--class"]}
    usual = {"sample": ["--model", "{TINY}/model.safetensors", "--out", "{OUT}"],
             "train": ["--out", "{OUT}/run"], "dataset": ["--sheet", "{OUT}/sheet.png"], "evaluate": ["--reference", "solids"]}
    large = {"--shift", "--seed", "--first", "--reference-count", "--images", "--images-per-sheet", "--count"}  # 2^32 is in their range
    pairs = [(c, o, v) for table in (numbers, names) for c, options in table.items() for o in options for v in absurd]
    random.shuffle(pairs)
    for command, option, value in pairs[:share]:
        words = [command, *usual[command]]
        if command == "train" and option != "--preset":
            words += ["--preset", "tiny"]
        if value == "4294967297" and option in large:
            continue
        yield Case("values", f"{command} {option} {value!r}", words + [f"{option}={value}"], {}, {USAGE})


KINDS = {"safetensors": safetensors_cases, "configuration": config_cases, "torch": torch_cases, "png": png_cases,
         "images": image_cases, "decoder": decoder_cases, "texts": text_cases, "training": run_cases, "values": value_cases}
