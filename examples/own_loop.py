"""The regularizer in a training loop of your own: three lines, marked."""

import torch
from torch import nn

import equiseg

torch.manual_seed(0)
NUM_CLASSES = 6

model = nn.Sequential(  # any network that ends in a pixel classifier
    nn.Conv2d(3, 32, 3, stride=4, padding=1),
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(32, NUM_CLASSES, 1),
)
tap = equiseg.FeatureTap(model, num_classes=NUM_CLASSES)  # 1: the classifier's input
center_loss = equiseg.CenterCollapseLoss(NUM_CLASSES, tap.in_features)  # 2: the regularizer
pixel_loss = nn.CrossEntropyLoss(ignore_index=255)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

# The colour determines the class; each class is rarer than the one before.
shares = torch.tensor([0.5, 0.25, 0.13, 0.07, 0.04, 0.01])
colors = torch.rand(NUM_CLASSES, 3)
for step in range(60):
    blocks = torch.multinomial(shares, 4 * 8 * 8, replacement=True).view(4, 8, 8)
    labels = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    images = colors[labels].permute(0, 3, 1, 2) + 0.2 * torch.randn(4, 3, 64, 64)

    logits = nn.functional.interpolate(model(images), labels.shape[1:], mode="bilinear")
    loss = pixel_loss(logits, labels) + center_loss(tap.features, labels)  # 3: add it
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.3f}")

score = equiseg.SegmentationScore(NUM_CLASSES, groups=(shares * 1000).long())
score.update(logits, labels)
result = score.compute()
print(f"mIoU {result.miou:.3f}, tail {result.tail:.3f} over {result.num_tail} classes")
