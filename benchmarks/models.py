"""Models of known shapes with random weights, to time: no package and no file of weights is needed."""

__all__ = ["encoder", "resnet18"]


def encoder(small=False):
    """Return (model, inputs): an encoder of MiniLM's shape (6 layers of 384, 12 heads, 1536 wide inside).

    The inputs are a batch of 12 sentences of 32 tokens, embedded. With `small`, one layer of 24 for two sentences.
    """
    import torch

    width, heads, layers, batch, time = (24, 2, 1, 2, 3) if small else (384, 12, 6, 12, 32)
    layer = torch.nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True)
    return torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False), torch.randn(batch, time, width)


def _block(channels, out, stride):
    import torch

    class Block(torch.nn.Module):
        # a residual block of two convolutions

        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            self.second = torch.nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(out) for _ in range(2))
            self.past = torch.nn.Conv2d(channels, out, 1, stride, bias=False) if stride != 1 else torch.nn.Identity()

        def forward(self, x):
            y = torch.relu(self.norms[0](self.first(x)))
            return torch.relu(self.norms[1](self.second(y)) + self.past(x))

    return Block()


def resnet18(small=False):
    """Return (model, inputs): a network of ResNet-18's shape, and a batch of 8 images of 224 x 224.

    With `small`, an eighth of the channels, two stages, and one image of 32 x 32.
    """
    import torch

    widths, images = ((8, 16), (1, 3, 32, 32)) if small else ((64, 128, 256, 512), (8, 3, 224, 224))
    parts = [torch.nn.Conv2d(3, widths[0], 7, 2, 3, bias=False), torch.nn.BatchNorm2d(widths[0]), torch.nn.ReLU()]
    parts.append(torch.nn.MaxPool2d(3, 2, 1))
    before = widths[0]
    for number, width in enumerate(widths):
        parts += [_block(before, width, 2 if number else 1), _block(width, width, 1)]
        before = width
    parts += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(before, 1000)]
    return torch.nn.Sequential(*parts), torch.randn(images)
