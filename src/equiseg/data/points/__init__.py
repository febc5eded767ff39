"""Point clouds: scan formats, scans on disk, voxels, transforms and crops."""
