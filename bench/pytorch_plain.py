"""Times one guided forward pass at 256x256 (one image, both halves) of plain PyTorch models beside bench_forward.

    python bench/pytorch_plain.py [PART OF A MODEL'S NAME]

Needs `pip install torch==2.11.0` in an environment of its own: the set-up of this project installs libtorch alone. The models
are written for this comparison, in the way a PyTorch user would write them: modules, fused attention, tokens sorted by expert,
one product per expert; bf16 as parameters and by autocast (which
converts the weights anew in each call). Weights are random. Run it on an idle machine.
"""

import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

TOKENS, LATENT_CHANNELS, PATCH, CLASSES = 256, 4, 2, 1000


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class SwiGlu(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.gate, self.up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Moe(nn.Module):
    def __init__(self, width, experts=8, k=2):
        super().__init__()
        self.k = k
        self.gate = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(SwiGlu(width, 4 * width) for _ in range(experts))
        self.shared = SwiGlu(width, 2 * width)

    def forward(self, x):
        rows = x.flatten(0, 1)
        weights, chosen = F.softmax(self.gate(rows), dim=-1, dtype=torch.float32).topk(self.k, sorted=False)
        order = chosen.flatten().argsort()
        counts = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        y = torch.zeros_like(rows)
        first = 0
        for expert, count in zip(self.experts, counts):
            if count == 0:
                continue
            slots = order[first : first + count]
            first += count
            tokens = slots // self.k
            y.index_add_(0, tokens, (expert(rows[tokens]) * weights.flatten()[slots, None]).to(y.dtype))
        return (y + self.shared(rows)).view_as(x)


class TimestepExperts(nn.Module):
    """Switch-DiT's mask: the experts that an image's timestep picks."""

    def __init__(self, width, experts=3, k=2):
        super().__init__()
        self.k = k
        self.gate = nn.Sequential(nn.SiLU(), nn.Linear(width, experts))
        self.weight = nn.Parameter(torch.randn(experts, width, width) * 0.02)
        self.bias = nn.Parameter(torch.zeros(experts, width))

    def forward(self, x, time):
        weights, chosen = F.softmax(self.gate(time), dim=-1).topk(self.k)
        mask = 1
        for slot in range(self.k):
            product = torch.bmm(x, self.weight[chosen[:, slot]].to(x.dtype)) + self.bias[chosen[:, slot], None]
            mask = mask + weights[:, slot, None, None] * product
        return mask


class Block(nn.Module):
    def __init__(self, width, heads, feed_forward, router):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention, self.feed_forward, self.router = Attention(width, heads), feed_forward, router
        self.adaln = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, time, condition):
        if self.router is None:
            return self.modulated(x, condition)
        through = x * self.router(x, time)
        return self.modulated(through, condition) + (x - through)

    def modulated(self, x, condition):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaln(condition)[:, None].chunk(6, -1)
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        return x + gate2 * self.feed_forward(self.norm2(x) * (1 + scale2) + shift2)


class Transformer(nn.Module):
    def __init__(self, width, depth, heads, kind):
        super().__init__()
        self.patches = nn.Conv2d(LATENT_CHANNELS, width, PATCH, PATCH)
        self.positions = nn.Parameter(torch.randn(1, TOKENS, width) * 0.02, requires_grad=False)
        self.time_mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.labels = nn.Embedding(CLASSES + 1, width)
        self.blocks = nn.ModuleList(
            Block(width, heads, Moe(width) if kind == "moe" else Mlp(width), TimestepExperts(width) if kind == "switch" else None)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.adaln = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.out = nn.Linear(width, PATCH * PATCH * 2 * LATENT_CHANNELS)

    def forward(self, x, t, y):
        frequencies = torch.exp(-torch.arange(128) / 128 * torch.log(torch.tensor(10000.0)))
        angles = t[:, None] * frequencies
        dtype = self.out.weight.dtype
        time = self.time_mlp(torch.cat([angles.cos(), angles.sin()], -1).to(dtype))
        condition = time + self.labels(y)
        x = self.patches(x.to(dtype)).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x, time, condition)
        shift, scale = self.adaln(condition)[:, None].chunk(2, -1)
        x = self.out(self.norm(x) * (1 + scale) + shift)
        side = int(TOKENS**0.5)
        return x.view(-1, side, side, PATCH, PATCH, 2 * LATENT_CHANNELS).permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


MODELS = {
    "DiT-MoE S/2-8E2A": (384, 12, 6, "moe"),
    "DiT-MoE XL/2-8E2A, one block": (1152, 1, 16, "moe"),
    "Switch-DiT S/2": (384, 12, 6, "switch"),
    "DiT S/2": (384, 12, 6, "dense"),
}


@torch.inference_mode()
def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads; medians of 9")
    for numbers in ("fp32", "bf16", "bf16 autocast"):
        for name, shape in MODELS.items():
            if wanted not in name:
                continue
            torch.manual_seed(0)
            model = Transformer(*shape).eval()
            for parameter in model.parameters():
                parameter.normal_(0, 0.04)
            if numbers == "bf16":
                model.bfloat16()
            x, t, y = torch.randn(1, 4, 32, 32).repeat(2, 1, 1, 1), torch.full((2,), 500.0), torch.tensor([207, 1000])
            times = []
            for _ in range(10):
                start = time.perf_counter()
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=numbers == "bf16 autocast"):
                    model(x, t, y)
                times.append(time.perf_counter() - start)
            print(f"{name:28s} {numbers:14s} {1e3 * statistics.median(times[1:]):8.1f} ms", flush=True)


if __name__ == "__main__":
    main()
