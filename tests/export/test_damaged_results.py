"""Results of another runtime that are missing, damaged or of another kind, through the command line."""
import numpy as np
import pytest

from src.export.runtime_files import result_predictor
from src.model_utils.errors import UNetError
from tests.support.exchange import Exchange
from tests.support.scripts import assert_one_line_error


@pytest.fixture(scope="module")
def finished(sample, tmp_path_factory):
    """An exchange of two samples with its results, (32, 48) pixels of two classes."""
    exchange = Exchange(tmp_path_factory.mktemp("finished"), sample, "--image_size=[32,48]")
    exchange.preprocess()
    exchange.infer()
    return exchange


def spoil(change):
    def spoiled(path):
        change(np.fromfile(path, np.float32).reshape(32, 48, 2)).tofile(path)
    return spoiled


def with_nan(array):
    array[3, 4] = np.nan
    return array


DAMAGE = {
    "missing": (lambda path: path.unlink(), [], ["1 of 2 results are missing", "ISBI_test_bs_1_1_0.bin"]),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), [], ["1 of 2 results are missing"]),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-4]), [],
                  ["12284 bytes found", "expected 12288", "float32", "(1, 32, 48, 2)"]),
    "empty": (lambda path: path.write_bytes(b""), [], ["0 bytes found"]),
    "extra": (lambda path: path.with_name("ISBI_test_bs_1_2_0.bin").write_bytes(path.read_bytes()), [],
              ["1 results belong to no validation image (ISBI_test_bs_1_2_0.bin)"]),
    "classes first": (spoil(lambda array: array.transpose(2, 0, 1)), [], ["sum to 1", "classes last"]),
    "logits": (spoil(lambda array: array * 7 - 3), [], ["not probabilities"]),
    "not a number": (spoil(with_nan), [], ["not probabilities"]),
    "softmax for argmax": (lambda path: None, ["--eval_activate=Argmax"], ["12288 bytes found", "expected 6144",
                                                                           "int32", "(1, 32, 48)"]),
    "other size": (lambda path: None, ["--image_size=[32,32]"], ["12288 bytes found", "(1, 32, 32, 2)"]),
    "no folder": (lambda path: None, ["--rst_path=/none"], ["no such folder of results: /none", "--rst_path"]),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_results(finished, sample, tmp_path, case):
    damage, options, parts = DAMAGE[case]
    exchange = Exchange(tmp_path, sample, "--image_size=[32,48]")
    exchange.results.mkdir()
    for path in finished.results.iterdir():
        (exchange.results / path.name).write_bytes(path.read_bytes())
    damage(exchange.results / "ISBI_test_bs_1_1_0.bin")
    assert_one_line_error(exchange.postprocess(*options), *parts)
    assert not exchange.out.exists()


@pytest.mark.parametrize("change, parts", [
    (lambda array: array * 7 - 3, "not probabilities: values from .* expected the sigmoid as float32, 0 to 1"),
    (lambda array: np.where(array > 0.7, np.float32(np.nan), array), "not probabilities"),
    (lambda array: np.concatenate([1 - array, array], axis=-1), r"12288 bytes found, expected 6144: float32 of shape"),
], ids=["logits", "not a number", "two channels"])
def test_damaged_results_of_one_channel(sample, tmp_path, change, parts):
    exchange = Exchange(tmp_path, sample, "--image_size=[32,48]", "--eval_activate=Sigmoid")
    exchange.results.mkdir()
    for number, (image, _) in enumerate(exchange.samples[k] for k in range(2)):
        change(exchange.predict(image[None])).tofile(exchange.results / f"ISBI_test_bs_1_{number}_0.bin")
    with pytest.raises(UNetError, match=parts):
        result_predictor(exchange.results, exchange.samples, (32, 48), "Sigmoid", "ISBI_test_bs_1_")(None)


def test_class_numbers_beyond_the_classes(sample, tmp_path):
    exchange = Exchange(tmp_path, sample, "--image_size=[32,48]", "--eval_activate=Argmax")
    exchange.preprocess()
    exchange.infer(lambda images: np.full((1, 32, 48), 2, np.int32))
    assert_one_line_error(exchange.postprocess(), "values from 2 to 2", "class numbers 0 to 1")


def test_folder_results_of_other_pictures(nuclei, tmp_path):
    options = ["--dataset=folders", "--num_channels=3", "--image_size=[32,24]"]
    exchange = Exchange(tmp_path, nuclei, "--split=0.6", *options)
    exchange.preprocess()
    exchange.infer()
    assert_one_line_error(exchange.postprocess("--split=0.8"), "2 results belong to no validation image",
                          "0006_0.bin, 0007_0.bin")
    assert_one_line_error(exchange.postprocess("--split=0.4"), "2 of 6 results are missing")
