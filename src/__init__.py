"""U-Net and UNet++ for two-dimensional image segmentation on MindSpore."""

# pyproject.toml and --version read it here; CHANGELOG.md says what each version brings.
__version__ = "1.0.0"
