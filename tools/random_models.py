#!/usr/bin/env python3
"""Makes model files with random weights in the layouts that people download, to try sizes and speed without downloading.

    tools/random_models.py FOLDER [--width 384 --depth 12 --heads 6 --experts 8 --image 256] [--vae-width 128]

writes FOLDER/dit-moe.pt, as the official DiT-MoE training code saves it ({"ema": state dict, "args": Namespace}, fp32,
torch.save's zip format), and FOLDER/vae/, an SD-like AutoencoderKL as diffusers has it. Needs Python alone.
"""
import argparse
import array
import collections
import io
import json
import pathlib
import pickle
import random
import struct
import sys
import types
import zipfile

# Python's pickle writes names only of things it can import: stand-ins for the few names that a .pt file needs.
_torch, _utils = types.ModuleType("torch"), types.ModuleType("torch._utils")


class FloatStorage:
    __module__ = "torch"


def _rebuild_tensor_v2():
    raise NotImplementedError


_rebuild_tensor_v2.__module__ = "torch._utils"
_torch.FloatStorage, _torch._utils, _utils._rebuild_tensor_v2 = FloatStorage, _utils, _rebuild_tensor_v2
sys.modules.update({"torch": _torch, "torch._utils": _utils})


def count(shape):
    n = 1
    for side in shape:
        n *= side
    return n


class Tensor:
    """A contiguous fp32 tensor whose numbers are in storage `key`."""

    def __init__(self, key, shape):
        self.key, self.shape = key, tuple(shape)

    def __reduce__(self):
        stride, strides = 1, []
        for side in reversed(self.shape):
            strides.insert(0, stride)
            stride *= side
        return _rebuild_tensor_v2, (self, 0, self.shape, tuple(strides), False, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.inside = None

    def persistent_id(self, thing):
        # Inside its own reduce tuple a tensor stands for its storage.
        if isinstance(thing, Tensor) and self.inside is thing:
            self.inside = None
            return "storage", FloatStorage, thing.key, "cpu", count(thing.shape)
        self.inside = thing if isinstance(thing, Tensor) else self.inside
        return None


class RandomNumbers:
    """Normal numbers of standard deviation 0.02, one block of them over and over from changing places."""

    def __init__(self, seed):
        source = random.Random(seed)
        self.block = array.array("f", (source.gauss(0, 0.02) for _ in range(1 << 18))).tobytes()
        self.source = source

    def bytes(self, n):
        at = 4 * self.source.randrange(len(self.block) // 4)
        text = self.block[at:] + self.block[:at]
        return (text * (4 * n // len(text) + 1))[: 4 * n]


def dit_moe_shapes(o):
    d, patch, latent = o.width, 2, o.image // 8
    shapes = {"pos_embed": (1, (latent // patch) ** 2, d), "x_embedder.proj.weight": (d, 4, patch, patch)}
    shapes["x_embedder.proj.bias"] = (d,)

    def linear(name, out, width, bias=True):
        shapes[name + ".weight"] = (out, width)
        if bias:
            shapes[name + ".bias"] = (out,)

    linear("t_embedder.mlp.0", d, 256)
    linear("t_embedder.mlp.2", d, d)
    shapes["y_embedder.embedding_table.weight"] = (1001, d)
    for i in range(o.depth):
        block = f"blocks.{i}."
        linear(block + "attn.qkv", 3 * d, d)
        linear(block + "attn.proj", d, d)
        linear(block + "adaLN_modulation.1", 6 * d, d)
        linear(block + "moe.gate", o.experts, d, bias=False)
        for expert, hidden in [(f"experts.{e}", 4 * d) for e in range(o.experts)] + [("shared_experts", 2 * d)]:
            for part in ("gate_proj", "up_proj"):
                linear(f"{block}moe.{expert}.{part}", hidden, d, bias=False)
            linear(f"{block}moe.{expert}.down_proj", d, hidden, bias=False)
    linear("final_layer.linear", patch * patch * 8, d)
    linear("final_layer.adaLN_modulation.1", 2 * d, d)
    return shapes


def write_pt(path, shapes, arguments, numbers):
    state = {name: Tensor(str(key), shape) for key, (name, shape) in enumerate(shapes.items())}
    text = io.BytesIO()
    Pickler(text).dump({"ema": state, "args": argparse.Namespace(**arguments)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

        def store(name, data):  # where torch.save lets data begin: at multiples of 64 bytes
            entry = zipfile.ZipInfo("archive/" + name)
            padding = -(archive.fp.tell() + 30 + len(entry.filename) + 4) % 64
            entry.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            archive.writestr(entry, data)

        store("data.pkl", text.getvalue())
        store("byteorder", "little")
        for tensor in state.values():
            store("data/" + tensor.key, numbers.bytes(count(tensor.shape)))
        store("version", "3\n")


def vae_shapes(widths):
    shapes = {}

    def norm(name, width):
        shapes[name + ".weight"] = shapes[name + ".bias"] = (width,)

    def conv(name, out, width, side):
        shapes[name + ".weight"], shapes[name + ".bias"] = (out, width, side, side), (out,)

    def resnet(name, width, out):
        norm(name + ".norm1", width)
        conv(name + ".conv1", out, width, 3)
        norm(name + ".norm2", out)
        conv(name + ".conv2", out, out, 3)
        if width != out:
            conv(name + ".conv_shortcut", out, width, 1)

    def middle(name, width):
        for i in (0, 1):
            resnet(f"{name}.mid_block.resnets.{i}", width, width)
        norm(name + ".mid_block.attentions.0.group_norm", width)
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            shapes[f"{name}.mid_block.attentions.0.{part}.weight"] = (width, width)
            shapes[f"{name}.mid_block.attentions.0.{part}.bias"] = (width,)

    def tower(name, blocks, resample, levels, resnets):
        width = levels[0]
        for i, out in enumerate(levels):
            for j in range(resnets):
                resnet(f"{name}.{blocks}.{i}.resnets.{j}", width, out)
                width = out
            if i + 1 < len(levels):
                conv(f"{name}.{blocks}.{i}.{resample}.0.conv", out, out, 3)

    conv("encoder.conv_in", widths[0], 3, 3)
    tower("encoder", "down_blocks", "downsamplers", widths, 2)
    conv("decoder.conv_in", widths[-1], 4, 3)
    tower("decoder", "up_blocks", "upsamplers", widths[::-1], 3)
    for name in ("encoder", "decoder"):
        middle(name, widths[-1])
    norm("encoder.conv_norm_out", widths[-1])
    norm("decoder.conv_norm_out", widths[0])
    conv("encoder.conv_out", 8, widths[-1], 3)
    conv("decoder.conv_out", 3, widths[0], 3)
    conv("quant_conv", 8, 8, 1)
    conv("post_quant_conv", 4, 4, 1)
    return shapes


def write_safetensors(path, shapes, numbers):
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * count(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            file.write(numbers.bytes(count(shape)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    for name, default in {"width": 384, "depth": 12, "heads": 6, "experts": 8, "image": 256, "vae-width": 128}.items():
        parser.add_argument("--" + name, type=int, default=default, help=f"default: {default}")
    parser.add_argument("--rf", action="store_true", help="say that the model is a rectified flow; default: DDPM")
    o = parser.parse_args()
    numbers = RandomNumbers(0)
    vae = o.folder / "vae"
    vae.mkdir(parents=True, exist_ok=True)
    arguments = {"model": "DiT-S/2", "image_size": o.image, "num_classes": 1000, "num_experts": o.experts,
                 "num_experts_per_tok": 2, "rf": o.rf, "vae": "ema", "global_seed": 0}
    write_pt(o.folder / "dit-moe.pt", dit_moe_shapes(o), arguments, numbers)
    widths = [o.vae_width, 2 * o.vae_width, 4 * o.vae_width, 4 * o.vae_width]
    write_safetensors(vae / "diffusion_pytorch_model.safetensors", vae_shapes(widths), numbers)
    config = {"_class_name": "AutoencoderKL", "down_block_types": ["DownEncoderBlock2D"] * len(widths),
              "up_block_types": ["UpDecoderBlock2D"] * len(widths), "block_out_channels": widths,
              "layers_per_block": 2, "latent_channels": 4, "norm_num_groups": 32, "scaling_factor": 0.18215}
    (vae / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for file in (o.folder / "dit-moe.pt", vae / "diffusion_pytorch_model.safetensors"):
        print(f"{file}: {file.stat().st_size / 1e6:.0f} million bytes")


if __name__ == "__main__":
    main()
