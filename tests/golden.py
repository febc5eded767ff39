"""The small batch of the method cards, and maps to try a loss over logits on."""

import torch

# The labelled points have the probabilities 1/2, 1/4 and 3/4: a loss can be worked out by hand.
LOGITS = torch.tensor(
    [[1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 2, 1 / 4], [1 / 8, 1 / 8, 3 / 4], [1 / 2, 1 / 4, 1 / 4]]
).log()
LABELS = torch.tensor([0, 2, 2, 255])


def points(num_classes, dtype=torch.float32, seed=0):
    """Logits of 40 points, and labels of which some are ignored and class 3 is absent."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(40, num_classes, generator=generator).to(dtype)
    labels = torch.randint(0, num_classes, (40,), generator=generator)
    return logits.requires_grad_(), torch.where(labels == 3, 255, labels)
