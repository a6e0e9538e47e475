"""Architecture optimizers, one file each."""
