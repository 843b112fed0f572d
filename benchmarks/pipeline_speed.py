"""Images per second that the data pipeline delivers by itself, in its first and its second pass over the data.

``python benchmarks/pipeline_speed.py --config_path=FILE.yaml --data_path=DIR``: options as for train.py. The second
pass finds decoded pictures in the memory, up to ``cache_mb``.
"""
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from src.model_utils.config import parse_options  # noqa: E402
from src.model_utils.memory import peak_memory_gb  # noqa: E402
from src.model_utils.runtime import quiet_mindspore  # noqa: E402


def main():
    """Print the rates."""
    quiet_mindspore()
    from src.data.pipeline import training_pipeline
    from src.data.samples import create_samples
    from src.data.schedule import Schedule

    config = parse_options(sys.argv[1:], "Images per second of the data pipeline alone.")
    samples, _ = create_samples(config)
    schedule = Schedule(len(samples), 1, 2, config.batch_size)
    batches = training_pipeline(samples, schedule, num_parallel_workers=config.num_parallel_workers)
    started, images = time.perf_counter(), config.batch_size * schedule.steps_per_epoch
    for step, _ in enumerate(batches.create_tuple_iterator(num_epochs=1, output_numpy=True), 1):
        if step % schedule.steps_per_epoch == 0:
            seconds = time.perf_counter() - started
            print(f"pass {step // schedule.steps_per_epoch}: {images} images in {seconds:.2f} s, "
                  f"{images / seconds:.0f} images/s")
            started = time.perf_counter()
    print(f"peak memory {peak_memory_gb():.2f} GB")


if __name__ == "__main__":
    main()
