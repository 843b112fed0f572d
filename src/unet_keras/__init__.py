"""The 2D U-Net that Keras and TensorFlow users know."""
from src.unet_keras.unet_model import UNetKeras

__all__ = ["UNetKeras"]
