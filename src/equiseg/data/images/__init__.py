"""Image folders: files, joint transforms, copy-paste."""
