import keras
import numpy as np
import pytest
from keras import layers
from sklearn.metrics import confusion_matrix

from helpers import events, image
from kerasmlp.callbacks.stopwatch import Stopwatch
from kerasmlp.data.examples import Examples
from kerasmlp.tensorboard import pictures
from kerasmlp.tensorboard.events import Events
from kerasmlp.tensorboard.images import Images, is_shown

AT_EPOCHS = ("pictures/confusion", "pictures/mistakes", "pictures/first_layer")


def test_the_images_are_those_of_the_trained_model_and_the_validation_examples(written, digits):
    """With an average of the weights, the averages are the weights of the trained model."""
    images, labels = digits
    probabilities = written.model.predict(images / np.float32(255), verbose=0)
    shown = {key: image(steps[12]) for key, steps in written.events.items() if key[1] in AT_EPOCHS}
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1))
    assert np.array_equal(shown["validation", "pictures/confusion"], pictures.confusion(matrix))
    mistakes = pictures.mistakes(images, labels, probabilities)
    assert np.array_equal(shown["validation", "pictures/mistakes"], mistakes)
    first_layer = pictures.first_layer(written.model.get_weights()[0], (6, 6, 1))
    assert np.array_equal(shown["train", "pictures/first_layer"], first_layer)


def test_the_samples_are_training_images_with_their_labels(written, digits):
    images, labels = digits
    picture = image(written.events["train", "pictures/samples"][0])
    assert np.array_equal(picture, pictures.captioned(images[:16], list(map(str, labels[:16]))))


def test_a_thousand_epochs_have_ten_images():
    assert [epoch + 1 for epoch in range(1000) if is_shown(epoch)] == [2**n for n in range(10)]


def test_augmented_images_are_written(digits, small_model, tmp_path):
    files, examples = Events(tmp_path), Examples(*digits, are_images=True)
    dashboard = Images(files, examples, None, Stopwatch(7), augment=lambda images: 255 - images)
    dashboard.set_model(small_model())
    dashboard.on_train_begin()
    files.close()
    images, labels = digits
    picture = image(events(tmp_path)["train", "pictures/augmented"][0])
    assert np.array_equal(picture, pictures.captioned(255 - images[:16], list(map(str, labels[:16]))))


@pytest.fixture
def written_for(tmp_path):
    """A function that begins and ends an epoch of a model; it returns the tags of its images."""

    def written_for(model, x, y, augment=None, **resumed):
        files = Events(tmp_path, **resumed)
        examples = Examples(x, y)
        dashboard = Images(files, examples, examples, Stopwatch(7), augment)
        dashboard.set_model(model)
        dashboard.on_train_begin()
        dashboard.on_epoch_end(0)
        files.close()
        return {tag.removeprefix("pictures/") for _, tag in events(tmp_path)}

    return written_for


GREY = np.random.default_rng(0).random((4, 6, 6, 1), np.float32)


def uncompiled(*parts):
    return keras.Sequential([keras.Input((6, 6, 1)), *parts])


def test_images_of_a_regression_are_no_samples(written_for):
    model = uncompiled(layers.Flatten(), layers.Dense(1))
    model.compile("sgd", "mse")
    assert written_for(model, GREY, GREY[:, 0, 0, 0]) == {"first_layer", "predictions", "residuals"}


CLASSIFIED = {"samples", "confusion", "mistakes"}


@pytest.mark.parametrize(
    "parts",
    [
        [layers.Flatten(), layers.Softmax()],
        [layers.Flatten(), layers.BatchNormalization(), layers.Softmax()],
        [layers.Conv2D(3, (1, 36), padding="same"), layers.GlobalMaxPooling2D(), layers.Softmax()],
        [layers.GlobalMaxPooling2D(), layers.Dense(3, "softmax")],
    ],
    ids=["no variable", "a scale of each pixel", "convolution", "dense on something else"],
)
def test_a_first_layer_that_is_no_weighted_sum_of_pixels_is_not_written(parts, written_for):
    model = uncompiled(*parts)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert written_for(model, GREY, np.array([0, 1, 2, 0])) == CLASSIFIED


def test_a_resumed_run_does_not_write_the_samples_again(small_model, written_for):
    found = written_for(small_model(), GREY, np.array([0, 1, 2, 0]), initial_step=3)
    assert found == CLASSIFIED - {"samples"} | {"first_layer"}


def test_what_an_augmentation_makes_of_images_is_shown_if_it_is_images(small_model, written_for):
    found = written_for(small_model(), GREY, np.array([0, 1, 2, 0]), augment=lambda x: x[..., 0])
    assert found == CLASSIFIED | {"first_layer"}


@pytest.mark.parametrize(
    "classes, shown", [(100, {"samples", "confusion", "mistakes"}), (101, {"samples", "mistakes"})]
)
def test_a_confusion_matrix_has_at_most_100_classes(classes, shown, written_for):
    model = uncompiled(layers.GlobalMaxPooling2D(), layers.Dense(classes, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert written_for(model, GREY, np.array([0, 1, 2, 99])) == shown
