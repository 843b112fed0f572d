"""U-Net and UNet++ for two-dimensional image segmentation on MindSpore."""
