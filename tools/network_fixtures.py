#!/usr/bin/env python3
r"""Writes tests/fixtures/networks: what others compute where Switchyard's feature networks are compared with them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch torchvision safetensors pillow==12.0.0 \
        efficientnet-lite-pytorch==0.1.0
    tools/setup.sh evaluate && /tmp/venv/bin/python tools/network_fixtures.py

Everything is computed in float64 and stored as float32. (Pillow 13 resizes some sizes in another order of passes.)
"""

import math
import pathlib

import numpy as np
import torch
import torchvision.transforms as T
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/fixtures"
SIDES = {"lite0": 224, "lite2": 260}
NORMALIZE = T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def uniform(name: str, numel: int) -> np.ndarray:
    """The u of tests/fixtures/metrics/README.md."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(numel, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def pictures() -> dict[str, list[Image.Image]]:
    """The pictures of the Inception fixtures, and two that are not square: waves, a function of the position."""
    sets = {}
    for name, tensor in load_file(FIXTURES / "metrics/inception_images.safetensors").items():
        sets[name.split(".")[0]] = [Image.fromarray(t.permute(1, 2, 0).numpy()) for t in tensor]
    for name, (height, width) in {"wide": (97, 150), "high": (301, 226)}.items():
        y, x, c = np.ogrid[:height, :width, :3]
        sets[name] = [Image.fromarray(((3 * x * (c + 1) + 5 * y * (3 - c) + x * y // 7) % 256).astype(np.uint8))]
    return sets


def efficientnet() -> dict[str, torch.Tensor]:
    from efficientnet_lite_pytorch import EfficientNet

    out = {}
    for lite, side in SIDES.items():
        (weights,) = (ROOT / ".networks").glob(f"efficientnet-{lite}-*.pth")
        network = EfficientNet.from_pretrained(f"efficientnet-{lite}", weights_path=str(weights)).eval().double()
        prepare = T.Compose([T.Resize(side, T.InterpolationMode.BICUBIC), T.CenterCrop(side), T.ToTensor(), NORMALIZE])
        for name, images in pictures().items():
            x = torch.stack([prepare(image) for image in images]).double()
            out[f"{lite}.{name}"] = network.extract_features(x).mean((2, 3)).float()
    return out


def vision_transformer(width: int, depth: int) -> tuple[dict[str, torch.Tensor], int]:
    """A state dict with the names of DINOv2's ViT with patches of 14, by formula."""
    layer = {"norm1.weight": [width], "norm1.bias": [width], "attn.qkv.weight": [3 * width, width],
             "attn.qkv.bias": [3 * width], "attn.proj.weight": [width, width], "attn.proj.bias": [width],
             "ls1.gamma": [width], "norm2.weight": [width], "norm2.bias": [width], "mlp.fc1.weight": [4 * width, width],
             "mlp.fc1.bias": [4 * width], "mlp.fc2.weight": [width, 4 * width], "mlp.fc2.bias": [width],
             "ls2.gamma": [width]}
    shapes = {"cls_token": [1, 1, width], "pos_embed": [1, 1 + 37 * 37, width],
              "patch_embed.proj.weight": [width, 3, 14, 14], "patch_embed.proj.bias": [width]}
    shapes |= {f"blocks.{i}.{name}": shape for i in range(depth) for name, shape in layer.items()}
    shapes |= {"norm.weight": [width], "norm.bias": [width]}
    state = {}
    for name, shape in shapes.items():
        u = 2 * uniform(name, math.prod(shape)) - 1
        # Matrices keep the size of what they multiply, scales are around 1, the rest is small.
        if len(shape) in (2, 4):
            u = u * math.sqrt(3 / math.prod(shape[1:]))
        elif name.endswith(("norm1.weight", "norm2.weight", "norm.weight", "gamma")):
            u = 1 + 0.3 * u
        state[name] = torch.from_numpy(u.astype(np.float32)).reshape(shape)
    return state, width // 64


def dinov2_features(state: dict[str, torch.Tensor], heads: int, x: torch.Tensor) -> torch.Tensor:
    """The class token after the last normalisation, as the paper has it; positions as its release resizes them."""
    s = {name: tensor.double() for name, tensor in state.items()}
    width = s["cls_token"].shape[-1]
    norm = lambda t, name: F.layer_norm(t, (width,), s[name + ".weight"], s[name + ".bias"], eps=1e-6)
    linear = lambda t, name: F.linear(t, s[name + ".weight"], s[name + ".bias"])
    x = F.conv2d(x, s["patch_embed.proj.weight"], s["patch_embed.proj.bias"], stride=14)
    side = x.shape[-1]
    grid = s["pos_embed"][:, 1:].reshape(1, 37, 37, width).permute(0, 3, 1, 2)
    # In float32 like the release; a tenth of a patch more in the scale than in the size.
    grid = F.interpolate(grid.float(), mode="bicubic", scale_factor=(side + 0.1) / 37).double()
    x = torch.cat([s["cls_token"].expand(len(x), -1, -1), x.flatten(2).mT], 1)
    x = x + torch.cat([s["pos_embed"][:, :1], grid.flatten(2).mT], 1)
    for i in range(sum(name.endswith("ls1.gamma") for name in s)):
        block = f"blocks.{i}."
        q, k, v = linear(norm(x, block + "norm1"), block + "attn.qkv").unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        attended = ((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + s[block + "ls1.gamma"] * linear(attended, block + "attn.proj")
        hidden = F.gelu(linear(norm(x, block + "norm2"), block + "mlp.fc1"))
        x = x + s[block + "ls2.gamma"] * linear(hidden, block + "mlp.fc2")
    return norm(x, "norm")[:, 0]


def dinov2() -> dict[str, torch.Tensor]:
    state, heads = vision_transformer(width=128, depth=3)
    prepare = T.Compose([T.Resize((224, 224), T.InterpolationMode.BICUBIC), T.ToTensor(), NORMALIZE])
    out = {}
    for name, images in pictures().items():
        x = torch.stack([prepare(image) for image in images]).double()
        out[f"vit.{name}"] = dinov2_features(state, heads, x).float()
    return out


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    numbers = efficientnet() | dinov2()
    for name in ("wide", "high"):
        numbers[f"{name}.images"] = torch.stack([torch.from_numpy(np.array(i)) for i in pictures()[name]])
    (FIXTURES / "networks").mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in numbers.items()}, FIXTURES / "networks/features.safetensors")
