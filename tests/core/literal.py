"""What tests of RepViT share: its tensors by name and shape, and its layers run one by one from them."""

import torch
from torch.nn import functional as F


def norm_shapes(name, channels):
    """The tensors of a batch norm."""
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.num_batches_tracked": (), **{f"{name}.{part}": (channels,) for part in parts}}


def conv_bn(name, shape):
    """A convolution without bias, and the batch norm after it."""
    return {f"{name}.c.weight": shape, **norm_shapes(f"{name}.bn", shape[0])}


def mixer_shapes(block, width, inner):
    """What all blocks have: squeeze and excitation, where `inner` is not 0, and the mixture of channels."""
    cells, channels = f"{block}.token_mixer", f"{block}.channel_mixer.m"
    shapes = conv_bn(f"{channels}.0", (2 * width, width, 1, 1))
    shapes |= conv_bn(f"{channels}.2", (width, 2 * width, 1, 1))
    if inner:
        shapes |= {f"{cells}.1.fc1.weight": (inner, width, 1, 1), f"{cells}.1.fc1.bias": (inner,)}
        shapes |= {f"{cells}.1.fc2.weight": (width, inner, 1, 1), f"{cells}.1.fc2.bias": (width,)}
    return shapes


def neck_shapes(width):
    """SAM's neck behind `width` channels."""
    shapes = {"neck.0.weight": (256, width, 1, 1), "neck.2.weight": (256, 256, 3, 3)}
    return shapes | {f"neck.{i}.{part}": (256,) for i in (1, 3) for part in ("weight", "bias")}


def scattered(encoder):
    """The encoder with no norm and no bias at its initial value."""
    for name, tensor in encoder.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.ndim == 1:
            tensor.add_(torch.randn_like(tensor) * 0.2)
    return encoder


class Layers:
    """The published layers, from their tensors by name: nothing is folded."""

    def __init__(self, weights):
        self.weights = weights

    def pair(self, name):
        """Weight and bias."""
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]

    def batch_norm(self, name, x):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.weights[f"{name}.{part}"] for part in parts))

    def conv(self, name, x, *, stride=1, groups=1):
        """A convolution and its batch norm."""
        kernel = self.weights[f"{name}.c.weight"]
        x = F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2, groups=groups)
        return self.batch_norm(f"{name}.bn", x)

    def excite(self, name, x):
        """Squeeze and excitation."""
        inner = F.relu(F.conv2d(x.mean((2, 3), keepdim=True), *self.pair(f"{name}.fc1")))
        return x * torch.sigmoid(F.conv2d(inner, *self.pair(f"{name}.fc2")))

    def mix_channels(self, name, x):
        return x + self.conv(f"{name}.2", F.gelu(self.conv(f"{name}.0", x)))

    def layer_norm(self, name, x):
        weight, bias = self.pair(name)
        x = (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-6)
        return x * weight[:, None, None] + bias[:, None, None]

    def stem(self, x):
        return self.conv("features.0.2", F.gelu(self.conv("features.0.0", x, stride=2)), stride=2)

    def neck(self, x):
        x = self.layer_norm("neck.1", F.conv2d(x, self.weights["neck.0.weight"]))
        return self.layer_norm("neck.3", F.conv2d(x, self.weights["neck.2.weight"], padding=1))
