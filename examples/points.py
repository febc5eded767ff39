"""A training loop on point clouds: the network takes voxels, the losses point labels."""

import torch

import equiseg
from equiseg.data.points.voxels import collate_points
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.data.synthetic.scans.dataset import RoomScans
from equiseg.losses import CrossEntropyLoss
from equiseg.models.sparse import MinkUNetSmall, SparseTensor

torch.manual_seed(0)
K = 12
rooms = RoomScans(ScansConfig(num_classes=K, points=1500), "train", num_scans=8)

model = MinkUNetSmall(in_channels=3, num_classes=K)
tap = equiseg.FeatureTap(model, num_classes=K)
point_loss = CrossEntropyLoss(K)
center_loss = equiseg.CenterCollapseLoss(K, tap.in_features)
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)

for step in range(12):
    samples = [rooms[(2 * step + i) % len(rooms)] for i in range(2)]
    batch, labels = collate_points(samples, rooms.voxel_size)
    logits = model(SparseTensor(batch.coordinates_V4, batch.features_VC))
    points = point_loss(logits, labels, inverse=batch.inverse_N)
    centers = center_loss(tap.features, labels, inverse=batch.inverse_N)
    optimizer.zero_grad()
    (points + centers).backward()
    optimizer.step()
    if step % 4 == 3:
        voxels, seen = len(batch.features_VC), int(labels.unique().numel())
        print(
            f"step {step + 1}: points {points.item():.3f}, centers {centers.item():.3f} "
            f"({voxels} voxels, {len(labels)} points, {seen} classes)"
        )
