"""Draw docs/images/sample.png: a validation image, its label, the prediction of a checkpoint, and the errors.

Usage: python scripts/draw_sample.py --config_path=output/quickstart/config.yaml --output_path=docs/images \
           --checkpoint_file_path=output/quickstart/checkpoint/ckpt_0/best.ckpt
"""
import sys
from pathlib import Path

SIDE, GAP, CAPTION = 256, 8, 24     # of a panel (the middle of the image), between two, and below it, in pixels


def main(config):
    """Predict the first validation image and draw it."""
    import numpy as np

    from src.data.input_options import validation_samples
    from src.evaluation.evaluate import ScoreOptions, evaluate
    from src.inference.loading import load_checkpoints
    from src.report.gallery import overlay

    network = load_checkpoints(config)
    samples = validation_samples(network.config, network.stored)
    samples.indices = samples.indices[:1]
    scored = []
    evaluate(network.for_evaluation(), samples, ScoreOptions.from_config(network.config), scored.append)
    classes, predicted = scored[0].classes, scored[0].predicted
    pixels = samples.pixels(0, classes.shape)
    gray = [np.repeat(255 // (config.num_classes - 1) * values.astype(np.uint8)[..., None], 3, axis=2)
            for values in (classes, predicted)]
    errors = overlay(pixels, predicted, classes, scored[0].counted)
    draw({"image": pixels, "label": gray[0], "prediction": gray[1], "errors": errors},
         Path(config.output_path) / "sample.png")


def draw(panels, path):
    """Write the panels, caption -> (h, w, 3) uint8 RGB, side by side."""
    from PIL import Image, ImageDraw, ImageFont

    from src.model_utils.files import replacing

    sheet = Image.new("RGB", (len(panels) * (SIDE + GAP) - GAP, SIDE + CAPTION), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    for number, (caption, pixels) in enumerate(panels.items()):
        left = number * (SIDE + GAP)
        top, side = (max(0, (length - SIDE) // 2) for length in pixels.shape[:2])
        sheet.paste(Image.fromarray(pixels[top:top + SIDE, side:side + SIDE]), (left, 0))
        pen.text((left + SIDE // 2, SIDE + 2), caption, fill="black", font=font, anchor="ma")
    with replacing(path) as temporary:
        sheet.quantize().save(temporary, optimize=True)     # 256 colours: half the size, and they look the same
    print(f"figure: {path}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.model_utils.script import run_script

    sys.exit(run_script(main, "Draw a validation image, its label, its prediction and the errors, side by side."))
