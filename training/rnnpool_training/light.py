"""What light, lens, sensor and storage do to a picture: for training views of every network."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

FLOAT = NDArray[np.float32]
PIXELS = NDArray[np.uint8]
# Parts of the views that each change happens to.
EXPOSED, CONTRASTED, GAMMA, NOISY, BLURRED, COMPRESSED = 0.35, 0.5, 0.35, 0.2, 0.12, 0.12
EXPOSURE = (0.25, 2.0)  # factors of the brightness


class Light:
    """Random exposure, contrast, gamma, blur, noise and JPEG artefacts, from a generator of random numbers."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        # Noise is cut from a strip at a random place: drawing it anew for every pixel takes longer than all the rest.
        self.strip = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)

    def levels(self) -> FLOAT:
        """A table (256,) from level to level: exposure, contrast about mid grey with brightness, gamma."""
        random = self.random
        table = np.arange(256, dtype=np.float32) / 255
        if random.random() < GAMMA:
            table = table ** np.float32(math.exp(random.uniform(-0.5, 0.5)))
        if random.random() < EXPOSED:
            table = table * np.float32(math.exp(random.uniform(math.log(EXPOSURE[0]), math.log(EXPOSURE[1]))))
        if random.random() < CONTRASTED:
            middle = random.uniform(0.35, 0.6)
            table = (table - middle) * math.exp(random.uniform(-0.7, 0.45)) + middle + random.uniform(-0.14, 0.14)
        return np.clip(255 * table + 0.5, 0, 255).astype(np.float32)

    def noise(self, shape: tuple[int, ...], sigma: float) -> FLOAT:
        """Normal noise of a standard deviation of `sigma` levels."""
        size = math.prod(shape)
        if size > len(self.strip):
            return (sigma * self.random.standard_normal(shape)).astype(np.float32)
        start = int(self.random.integers(len(self.strip) - size + 1))
        return sigma * self.strip[start : start + size].reshape(shape)

    def blur(self, image: Image.Image) -> Image.Image:
        """Out of focus, or of a lower resolution."""
        if self.random.random() < 0.5:
            return image.filter(ImageFilter.BoxBlur(self.random.uniform(0.4, 1.5)))
        factor = self.random.uniform(1.3, 2.5)
        small = (max(1, int(image.width / factor)), max(1, int(image.height / factor)))
        return image.resize(small, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)

    def compress(self, image: Image.Image) -> Image.Image:
        """The artefacts of a JPEG file of low quality."""
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(self.random.integers(15, 70)))
        return Image.open(file).convert(image.mode)

    def __call__(self, image: Image.Image) -> PIXELS:
        """An image (mode L or RGB) to uint8 (H, W) or (H, W, 3) as another camera might have delivered it."""
        random = self.random
        if random.random() < BLURRED and min(image.size) > 8:
            image = self.blur(image)
        if random.random() < 0.8:
            image = image.point(self.levels().astype(int).tolist() * len(image.getbands()))
        pixels: PIXELS = np.asarray(image)
        if random.random() < NOISY:
            sigma = math.exp(random.uniform(math.log(1.0), math.log(14.0)))
            noisy = pixels + self.noise(pixels.shape, sigma)
            pixels = np.clip(noisy + 0.5, 0, 255).astype(np.uint8)
        if random.random() < COMPRESSED and min(image.size) > 8:
            pixels = np.asarray(self.compress(Image.fromarray(pixels)))
        return pixels
