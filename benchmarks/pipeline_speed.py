"""Measure images per second of the data pipeline without training, in its first and second pass over the data.

``python benchmarks/pipeline_speed.py --config_path=FILE.yaml --data_path=DIR``; the options are those of train.py. In
the second pass, up to ``cache_mb`` of decoded images are in memory.
"""
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def main():
    """Print the rates."""
    from src.model_utils.config import parse_options
    from src.model_utils.memory import peak_memory_gb
    from src.model_utils.runtime import quiet_mindspore

    config = parse_options(sys.argv[1:], "Measure images per second of the data pipeline without training.")
    quiet_mindspore()
    from src.data.pipeline import training_batches
    from src.data.samples import create_samples
    from src.data.schedule import Schedule

    samples, _ = create_samples(config)
    schedule = Schedule(len(samples), 1, 2, config.batch_size)
    batches = training_batches(samples, schedule, num_parallel_workers=config.num_parallel_workers)
    started, images = time.perf_counter(), config.batch_size * schedule.steps_per_epoch
    for step, _ in enumerate(batches, 1):
        if step % schedule.steps_per_epoch == 0:
            seconds = time.perf_counter() - started
            print(f"pass {step // schedule.steps_per_epoch}: {images} images in {seconds:.2f} s, "
                  f"{images / seconds:.0f} images/s")
            started = time.perf_counter()
    print(f"peak memory {peak_memory_gb():.2f} GB")


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
