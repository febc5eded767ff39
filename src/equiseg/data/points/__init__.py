"""Point clouds: files by form, scans on disk, built-in rooms, voxels, transforms and crops."""
