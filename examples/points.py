"""The same loss on points: features (N, C), labels (N,)."""

import torch

import equiseg

torch.manual_seed(0)
features = torch.randn(5000, 64, requires_grad=True)
labels = torch.randint(0, 20, (5000,))
labels[:500] = 255  # unlabelled points

center_loss = equiseg.CenterCollapseLoss(num_classes=20, in_features=64)
loss = center_loss(features, labels)
loss.backward()
print(f"loss {loss.item():.3f}, gradient norm {features.grad.norm().item():.2e}")

centers = equiseg.class_centers(features, labels, num_classes=20)
present, rarest = int(centers.present_K.sum()), int(centers.counts_K.min())
print(f"{present} classes present, the rarest in {rarest} points")
